package session

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace"
)

func TestTimelineHoldsEveryCallOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	x := newRun(r, 500)
	s := x.session(Meta{})
	for _, n := range []int{1, 7, 80, 1000} {
		b := s.Timeline(-time.Second, s.Length(), n)
		if len(b) != n {
			t.Fatalf("%d buckets, want %d", len(b), n)
		}
		var calls uint64
		news := 0
		for i, x := range b {
			calls, news = calls+x.Calls, news+x.New
			if i > 0 && x.Start != b[i-1].End {
				t.Fatalf("bucket %d begins at %v after %v", i, x.Start, b[i-1].End)
			}
		}
		if calls != uint64(len(x.events)) || news != len(s.Discoveries()) {
			t.Errorf("%d buckets: %d calls, %d new, want %d, %d", n, calls, news, len(x.events), len(s.Discoveries()))
		}
	}
	if s.Timeline(5, 5, 3) != nil || s.Timeline(0, 5, 0) != nil {
		t.Error("a timeline of no time")
	}
}

func TestTimelineShowsGapsAndMarks(t *testing.T) {
	s := New(Meta{})
	row := []Row{{trace.Main, policy.Call{Nr: 1}, 100, 1, 99}}
	for _, e := range []Epoch{{Start: 0, End: sec, Rows: row}, {Start: 3 * sec, End: 4 * sec}} {
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMark(Mark{At: 2 * sec, Kind: MarkUser})
	s.AddMark(Mark{At: 2 * sec, Kind: MarkFork})
	want := []Bucket{{0, sec, 100, 1, 0, false}, {sec, 2 * sec, 0, 0, 1, true}, {2 * sec, 3 * sec, 0, 0, 0, true}, {3 * sec, 4 * sec, 0, 0, 0, false}}
	if got := s.Timeline(0, 4*sec, 4); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

// The gaps of a hostile file are as many as its epochs. A screen asks for them
// often: it must not walk them all for every column.
func TestTimelineOfManyGaps(t *testing.T) {
	s := New(Meta{})
	const n = 100_000
	for i := range time.Duration(n) {
		if err := s.AddEpoch(Epoch{Start: i * 40 * ms, End: i*40*ms + 20*ms}); err != nil {
			t.Fatal(err)
		}
	}
	m := s.Missing()
	if m.AllGaps != n-1 || len(m.Gaps) > maxSaid || m.GapTime != (n-1)*20*ms {
		t.Errorf("%d gaps, %d told, %v in all", m.AllGaps, len(m.Gaps), m.GapTime)
	}
	walked := 0
	for _, b := range s.Timeline(0, 40*ms, 4) {
		if b.Gap {
			walked++
		}
	}
	if walked != 2 {
		t.Errorf("%d columns of 4 have a gap, want 2", walked)
	}
}

func TestRate(t *testing.T) {
	s := New(Meta{})
	if s.Rate() != 0 {
		t.Error("a rate of nothing")
	}
	for i := range 30 {
		start := time.Duration(i) * 100 * ms
		n := uint64(1)
		if i >= 20 {
			n = 50
		}
		e := Epoch{Start: start, End: start + 100*ms, Rows: []Row{{trace.Main, policy.Call{}, n, start + 1, start + 1}}}
		if n > 1 {
			e.Rows[0].Last++
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.Rate(); r != 500 {
		t.Errorf("%v calls/s, want 500", r)
	}
}

func TestCompleteness(t *testing.T) {
	s := New(Meta{StartSeen: true})
	if err := s.AddEpoch(Epoch{End: sec}); err != nil {
		t.Fatal(err)
	}
	if c := s.Completeness(); len(c) > 0 {
		t.Fatalf("a complete recording lacks %q", c)
	}
	uring, err := policy.ParseCall("io_uring_setup")
	if err != nil {
		t.Fatal(err)
	}
	i386 := policy.Call{ABI: policy.I386, Nr: 5}
	s.SetMeta(Meta{})
	err = s.AddEpoch(Epoch{Start: 2 * sec, End: 3 * sec, Lost: trace.Lost{Table: 7, EventsDropped: 8, SamplesDropped: 9},
		Rows: []Row{{trace.Main, uring, 1, 2 * sec, 2 * sec}, {trace.Main, i386, 1, 2 * sec, 2 * sec}}})
	if err != nil {
		t.Fatal(err)
	}
	for range maxOneKind + 3 {
		s.AddMark(Mark{Kind: MarkFork})
	}
	got := strings.Join(s.Completeness(), "\n")
	for _, want := range []string{"start was not seen", "7 calls were lost", "8 process events", "1 gap ", "1s in all", "i386", "io_uring", "3 marks were left out"} {
		if !strings.Contains(got, want) {
			t.Errorf("does not say %q:\n%s", want, got)
		}
	}
	if s.Lost().SamplesDropped != 9 {
		t.Errorf("lost %+v", s.Lost())
	}
}

// A storm of processes must not crowd out the end of a server.
func TestExitsOfServersAreKept(t *testing.T) {
	s := New(Meta{})
	s.AddMark(waits(0, 77, "web"))
	for i := range uint32(maxOneKind + 1) {
		s.AddMark(exits(sec, 1000+i))
	}
	s.AddMark(exits(2*sec, 77))
	if m := s.Marks(); m[len(m)-1].Pid != 77 {
		t.Errorf("the last mark is %+v", m[len(m)-1])
	}
}

func TestRehearse(t *testing.T) {
	call := func(name string) policy.Call {
		c, err := policy.ParseCall(name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	mkdir, read, wait, mount := call("mkdir"), call("read"), call("epoll_wait"), call("mount")
	s := New(Meta{})
	err := s.AddEpoch(Epoch{End: 10, InFlight: []policy.Call{wait}, Rows: []Row{
		{trace.Init, mount, 3, 1, 1},
		{trace.Main, mkdir, 2, 1, 2},
		{trace.Main, read, 3, 1, 9},
		{trace.Exec, mkdir, 4, 3, 7},
	}})
	if err != nil {
		t.Fatal(err)
	}
	sp := Split{At: 5}
	got := Rehearse(s, sp, s.Policy(sp))
	eperm := policy.RefuseWith(unix.EPERM)
	want := []Denied{{Call: mkdir, Phase: policy.Exec, Count: 4, First: 3, Last: 7, Answer: eperm}}
	if !reflect.DeepEqual(got.Denied, want) {
		t.Errorf("denied %+v, want %+v", got.Denied, want)
	}
	// With all of it in run, nothing of it is denied.
	if got := Rehearse(s, sp, s.Policy(Split{At: 0})); len(got.Denied) != 0 {
		t.Errorf("denied %+v", got.Denied)
	}
	for _, c := range got.Unused {
		if c == read || c == mkdir || c == wait {
			t.Errorf("%v is called unused", c)
		}
	}
	s.AddEdit(policy.Edit{Op: policy.OpDeny, Call: wait, Phase: policy.Run})
	s.AddEdit(policy.Edit{Op: policy.OpDeny, Call: mkdir, Phase: policy.Boot})
	got = Rehearse(s, sp, s.Policy(sp))
	want = []Denied{{Call: mkdir, Phase: policy.Boot, Count: 2, First: 1, Last: 2, Answer: eperm}, {Call: wait, Phase: policy.Run, InFlight: true, Answer: eperm},
		{Call: mkdir, Phase: policy.Exec, Count: 4, First: 3, Last: 7, Answer: eperm}}
	if !reflect.DeepEqual(got.Denied, want) {
		t.Errorf("denied %+v, want %+v", got.Denied, want)
	}
}

func TestSamplesKeepTheNewestAndTheFirsts(t *testing.T) {
	s := New(Meta{})
	n := uint64(0)
	for i := range 3 * maxSamples {
		s.AddSamples([]Sample{{At: time.Duration(i), Call: policy.Call{Nr: uint32(i % 5)}}})
		if i%700 == 0 {
			var fresh []Sample
			fresh, n = s.SamplesSince(n)
			if len(fresh) == 0 || fresh[len(fresh)-1].At != time.Duration(i) || n != uint64(i+1) {
				t.Fatalf("after %d: %d samples, n %d", i, len(fresh), n)
			}
		}
	}
	all := s.Samples()
	if len(all) != maxSamples || all[0].At != 2*maxSamples || all[maxSamples-1].At != 3*maxSamples-1 {
		t.Errorf("%d samples from %d to %d", len(all), all[0].At, all[len(all)-1].At)
	}
	if x, ok := s.FirstSample(policy.Call{Nr: 3}); !ok || x.At != 3 {
		t.Errorf("the first of call 3 is %+v", x)
	}
	if fresh, _ := s.SamplesSince(1 << 60); fresh != nil {
		t.Error("samples from the future")
	}
}

// What was never kept is told by the file, also by one that was not closed.
func TestStatementOutlivesTheFile(t *testing.T) {
	path := tempPath(t)
	w, err := Create(path, Meta{StartSeen: true})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Meta{StartSeen: true})
	s.Attach(w)
	storm := func(n int) {
		for range n {
			s.AddMark(Mark{Kind: MarkFork})
		}
		if err := s.AddEpoch(Epoch{Start: s.Length(), End: s.Length() + sec}); err != nil {
			t.Fatal(err)
		}
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	says := func(want string) {
		t.Helper()
		got, _, err := Open(path)
		if err != nil || !strings.Contains(strings.Join(got.Completeness(), "\n"), want) {
			t.Errorf("it says %q, want %q (%v)", got.Completeness(), want, err)
		}
	}
	storm(maxOneKind + 3)
	says("3 marks were left out")
	storm(2)
	says("3 marks were left out") // a storm is not told mark by mark
	storm(5)
	says("10 marks were left out")
	storm(1)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	says("11 marks were left out")
	copied, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	path = tempPath(t)
	if err := Save(path, copied); err != nil {
		t.Fatal(err)
	}
	says("11 marks were left out")
}
