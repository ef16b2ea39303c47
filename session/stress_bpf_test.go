package session

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace"
)

// harmless are calls without arguments that matter.
var harmless = []uintptr{
	unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
	unix.SYS_GETTID, unix.SYS_SCHED_YIELD, unix.SYS_GETRUSAGE, unix.SYS_TIMES, unix.SYS_SYSINFO, unix.SYS_GETCPU,
	unix.SYS_UMASK, unix.SYS_GETSID, unix.SYS_GETPGID, unix.SYS_SYNC_FILE_RANGE, unix.SYS_CAPGET,
	unix.SYS_GETPRIORITY, unix.SYS_SCHED_GETPARAM,
}

// stress makes harmless calls in some threads for a time: each call has a stretch
// of its own in which it is made, so that the sets differ everywhere.
func stress(length string) {
	d, err := time.ParseDuration(length)
	if err != nil {
		panic(err)
	}
	begin := time.Now()
	var wait sync.WaitGroup
	for thread := range uint64(4) {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(thread, 1))
			for at := time.Since(begin); at < d; at = time.Since(begin) {
				for i := range 5 {
					k := r.IntN(len(harmless))
					from := d * time.Duration(k%7) / 9
					to := from + d*time.Duration(k%5+1)/8
					if at >= from && at < to && (i == 0 || r.IntN(3) == 0) {
						unix.RawSyscallNoError(harmless[k], 1<<40, 0, 0)
					}
				}
				time.Sleep(time.Duration(r.IntN(4000)) * time.Microsecond)
			}
		})
	}
	wait.Wait()
	os.Exit(0)
}

// logged is a source that keeps every sample: with a rate that is never reached
// they are all the calls that were made, one by one.
type logged struct {
	*trace.Tracer
	all []trace.Sample
}

func (l *logged) Samples(dst []trace.Sample) []trace.Sample {
	n := len(dst)
	dst = l.Tracer.Samples(dst)
	l.all = append(l.all, dst[n:]...)
	return dst
}

// TestSetsOfARealRunEqualItsLog records a real program that makes calls at random
// times, while all but the newest epochs are joined, and holds the sets for a
// thousand splits against the log of its calls: some of the splits are placed
// while it runs, and the rest when it is over. Snap puts each where the sets are
// exact.
func TestSetsOfARealRunEqualItsLog(t *testing.T) {
	cgroup := ownCgroup(t)
	tracer, err := trace.Open(trace.Config{CgroupPath: cgroup, SameMountNS: true, SampleRate: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	const length = 12 * time.Second
	s, path := New(Meta{Tool: "test"}), filepath.Join(t.TempDir(), "x")
	s.table.fine = fineness{every: 10, last: time.Second, first: time.Second / 2, share: 4, exact: 150 * ms, evident: 1}
	w, err := Create(path, s.Meta())
	if err != nil {
		t.Fatal(err)
	}
	source := &logged{Tracer: tracer}
	rec := Record(t.Context(), s, w, source, nil, Options{})
	r := rand.New(rand.NewPCG(7, 7))
	placed := stressed(t, s, cgroup, length, r)
	if err := errors.Join(rec.Stop(), w.Close()); err != nil {
		t.Fatal(err)
	}
	log := logOf(t, s, source.all)
	got, damage, err := Open(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	if n, of := len(got.table.starts), int(s.Length()/(100*ms)); n > of*3/4 {
		t.Errorf("%d epochs of %d are left", n, of)
	}
	for len(placed) < 1000 {
		placed = append(placed, Split{At: s.Snap(time.Duration(r.Int64N(int64(s.Length()))))})
	}
	late, excused := log.late(s), 0
	for _, sp := range placed {
		want := log.sets(sp)
		for c, until := range late {
			if sp.At < until && !want[policy.Run][c] {
				if want[policy.Run] == nil {
					want[policy.Run] = map[policy.Call]bool{}
				}
				want[policy.Run][c] = true
				excused++
			}
		}
		for _, x := range []*Session{s, got} {
			compareSets(t, 0, sp, want, x.Observed(sp))
		}
	}
	t.Logf("%d calls, %d epochs; %d calls with a late tick, which touches %d splits", len(log.events), len(got.table.starts), len(late), excused)
}

// late are the calls whose last use the recording has at more than a tick after it
// was, and when that is: a machine that is held up ends its ticks late. There run
// has a call for longer than it should, and Snap cannot know.
func (x run) late(s *Session) map[policy.Call]time.Duration {
	last := map[key]time.Duration{}
	for _, e := range x.events {
		k := key{e.group, e.call}
		last[k] = max(last[k], e.at)
	}
	out := map[policy.Call]time.Duration{}
	for _, c := range s.table.order {
		if c.group == trace.Main && c.last > last[c.key]+trace.Tick {
			out[c.call] = c.last
		}
	}
	return out
}

// stressed runs the program, and places splits in what was just recorded, at two times.
func stressed(t *testing.T, s *Session, cgroup string, length time.Duration, r *rand.Rand) (placed []Split) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "_stress-gate", length.String())
	startIn(t, cgroup, cmd)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	every := time.NewTicker(length / 500)
	defer every.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return placed
		case <-every.C:
			n := s.Length()
			for range 4 {
				if n > 2*sec && n < 3*sec || n > 8*sec && n < 10*sec {
					// Not the last ticks: what comes may yet lie in them.
					sp := Split{At: s.Snap(n - 50*ms - time.Duration(r.Int64N(int64(800*ms))))}
					s.AddSplit(sp)
					placed = append(placed, sp)
				}
			}
		}
	}
}

// logOf is a run as its samples tell it, one that lacks none of the calls counted.
func logOf(t *testing.T, s *Session, all []trace.Sample) run {
	t.Helper()
	var out run
	counts := map[key]uint64{}
	for _, x := range all {
		e := event{s.Meta().Offset(x.Time), x.Group, policy.Call{ABI: policy.ABI(x.ABI), Nr: x.Nr}}
		out.events = append(out.events, e)
		counts[key{e.group, e.call}]++
	}
	if lost := s.Lost(); lost != (trace.Lost{}) {
		t.Fatalf("the log lacks calls: %+v", lost)
	}
	for _, c := range s.table.order {
		if counts[c.key] != c.total {
			t.Errorf("%v: %d in the log, %d counted", c.call, counts[c.key], c.total)
		}
	}
	if len(counts) != len(s.table.order) || len(counts) < len(harmless) {
		t.Errorf("%d different calls in the log, %d counted", len(counts), len(s.table.order))
	}
	return out
}

// stressGate waits for a line, then becomes the program.
func stressGate(length string) {
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		panic(err)
	}
	panic(unix.Exec("/proc/self/exe", []string{"stress", "_stress", length}, nil))
}
