package apply

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// runningGroup starts the server, and beside it others, in a cgroup without any filter.
func runningGroup(t *testing.T, others ...string) (*server, Running) {
	t.Helper()
	needRoot(t)
	ownHolds(t)
	dir, pids := group(t)
	s := &server{t: t, dir: t.TempDir(), cgroup: dir, ended: make(chan struct{})}
	s.l = run(t, dir, "/proc/self/exe", "_server", s.dir)
	s.wants("mkdir", "ok")
	for _, how := range others {
		run(t, dir, target(t), how)
	}
	eventually(t, "all run", func() bool { list, _ := pids(); return len(list) > len(others) })
	return s, Running{Cgroup: dir, Pid: s.l.Pid, Pids: pids}
}

// holdOf holds it.
func holdOf(t *testing.T, x Running, name string) *Hold {
	t.Helper()
	h, r, proof, err := HoldRunning(within(t), name, x, testPolicy())
	if err != nil || !proof.OK {
		t.Fatalf("%v %+v %v", err, r, proof.Text)
	}
	t.Logf("%d processes in %d passes, stopped for %v", r.Processes, r.Passes, r.Stops)
	return h
}

// A target that runs, of several processes and threads and under load, is held with no
// restart; denied, asked and undone as one that was held from its start; and sealed.
func TestHoldRunning(t *testing.T) {
	s, x := runningGroup(t, "pause", "+epoll", "threads")
	had, err := x.Pids()
	if err != nil {
		t.Fatal(err)
	}
	stop := s.load()
	h := holdOf(t, x, "running")
	st := status(t, h)
	if st.Mode != "allow" || st.Ears != len(had) {
		t.Errorf("mode %s, %d listeners for %d processes", st.Mode, st.Ears, len(had))
	}
	s.wants("mkdir", "ok")
	for range 20 {
		if err := h.Deny(); err != nil {
			t.Fatal(err)
		}
		s.wants("mkdir", "EPERM")
		if err := h.Allow(); err != nil {
			t.Fatal(err)
		}
		s.wants("mkdir", "ok")
	}
	if err := h.AskFor(0, Asking{}); err != nil {
		t.Fatal(err)
	}
	waits := s.later()
	if err := h.Answer(asked(t, h, 1).ID, AllowGood, 0); err != nil {
		t.Fatal(err)
	}
	if got := <-waits; got != "ok" {
		t.Errorf("allowed, it gets %s", got)
	}
	for _, r := range status(t, h).Rules {
		if err := h.Rule(r, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.DenyFor(100 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	undone(t, h, "nobody kept it")
	s.wants("child", "ok") // what it starts has the filter, too, and is answered for
	if _, proof, err := h.Seal(within(t), x.Pids); err != nil {
		t.Fatal(err, proof.Text)
	}
	s.wants("mkdir", "EPERM")
	if err := h.Allow(); !errors.Is(err, ErrSealed) {
		t.Errorf("sealed, allow: %v", err)
	}
	t.Logf("%d requests", stop())
	if now, err := x.Pids(); err != nil || len(now) < len(had) {
		t.Errorf("processes %v before, %v after (%v)", had, now, err)
	}
}

// Whoever has its listener is in nobody's hands but the keeper's, and a hold that is there
// is not put in twice; under other sets it is refused.
func TestHoldRunningTwice(t *testing.T) {
	s, x := runningGroup(t, "pause")
	h := holdOf(t, x, "twice")
	before := filtersOf(t, x.Pids)
	holdOf(t, x, "twice")
	standsWell(t, x.Pids, before, false)
	for pid, n := range filtersOf(t, x.Pids) {
		if n != before[pid] {
			t.Errorf("process %d had %d filters, and has %d", pid, before[pid], n)
		}
	}
	run(t, x.Cgroup, target(t), "pause") // came in with no filter
	holdOf(t, x, "twice")
	if st := status(t, h); st.Ears != 3 {
		t.Errorf("%d listeners, want 3", st.Ears)
	}
	other := testPolicy()
	other = PolicyOf(other.WideSpec())
	if _, _, _, err := HoldRunning(within(t), "twice", x, other); err == nil || !strings.Contains(err.Error(), "nothing was done") {
		t.Errorf("under other sets: %v", err)
	}
	if _, _, _, err := HoldRunning(within(t), "another", x, other); err == nil {
		t.Error("a second hold of another name is put over the first")
	}
	s.wants("mkdir", "ok")
}

// One whose keeper was killed is taken up again, with no restart: the newer listener is
// heard in place of the one that is gone.
func TestHoldRunningAfterKeeper(t *testing.T) {
	s, x := runningGroup(t, "pause")
	h := holdOf(t, x, "again")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(status(t, h).Keeper, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bereft", func() bool { return errors.Is(attached("again"), ErrBereft) })
	s.wants("mkdir", "ENOSYS")
	h = holdOf(t, x, "again")
	s.wants("mkdir", "ok")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "EPERM")
}

// Processes that fork all the time, vfork, and threads with filters of their own are all
// held; none dies, none keeps a listener.
func TestHoldForkStorm(t *testing.T) {
	s, x := runningGroup(t, "forks", "forks", "vfork", "threads")
	h, r, _, err := HoldRunning(within(t), "storm", x, testPolicy())
	if err != nil {
		t.Fatalf("%v %+v", err, r)
	}
	t.Logf("%d processes in %d passes, %d died meanwhile, %d listeners", r.Processes, r.Passes, r.Died, status(t, h).Ears)
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "EPERM")
	for range 50 {
		list, err := x.Pids()
		if err != nil {
			t.Fatal(err)
		}
		for _, pid := range list {
			if fds, _ := proc.Listeners(pid); len(fds) > 0 {
				t.Fatalf("process %d has listeners %v", pid, fds)
			}
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if err == nil && strings.Contains(string(b), "Seccomp:\t0") && !strings.Contains(string(b), "State:\tZ") && !strings.Contains(string(b), "State:\tX") {
				t.Fatalf("process %d has no filter", pid)
			}
		}
	}
	if err := h.Allow(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "ok")
}

// Whoever is killed at whatever step while a hold is put into processes that run: all live
// and run on. Without the injector the hold is whole all the same, and nobody ever got
// ENOSYS; without the keeper, whoever takes it up again makes it whole.
func TestKillHoldRunningAtEveryStep(t *testing.T) {
	path := target(t)
	for _, who := range []string{"kept", "keeper"} { // the injector of the keeper, and that itself
		t.Run(who, func(t *testing.T) {
			everyStep(t, 9, func(t *testing.T, at int) bool { return killHolding(t, path, who, at) })
		})
	}
}

func killHolding(t *testing.T, path, who string, at int) (reached bool) {
	s, x := runningGroup(t)
	run(t, x.Cgroup, path, "pause")
	stop := s.maker()
	had := filtersOf(t, x.Pids)
	was, reset := stepping(t, at, who)
	h, r, proof, err := HoldRunning(within(t), "walked", x, testPolicy())
	reset()
	reached = was()
	failed := stop()
	switch {
	case err != nil && (!reached || who == "kept"):
		t.Errorf("killed %v: %v %+v %v", reached, err, r, proof.Text)
	case who == "kept" && failed != "ok":
		t.Errorf("killed %v, and meanwhile a call got %s", reached, failed)
	case failed != "ok" && failed != "ENOSYS":
		t.Errorf("meanwhile a call got %s", failed)
	}
	for pid := range had {
		eventually(t, fmt.Sprint("process ", pid, " runs on"), func() bool {
			i, err := proc.Read(pid)
			return err == nil && i.Tracer == 0 && !strings.ContainsRune("tTZ", rune(i.State))
		})
		if fds, _ := proc.Listeners(pid); err == nil && len(fds) > 0 {
			t.Errorf("process %d keeps listeners %v", pid, fds)
		}
	}
	if err != nil {
		h = holdOf(t, x, "walked")
	}
	s.wants("mkdir", "ok")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "EPERM")
	return reached
}

// maker has the server make directories all the time. stop answers "ok", or what the first
// that could not be made got.
func (s *server) maker() (stop func() string) {
	over, got := make(chan struct{}), make(chan string)
	go func() {
		first := "ok"
		for {
			select {
			case <-over:
				got <- first
				return
			default:
				if x := ask(s.t, s.dir, "mkdir"); x != "ok" && first == "ok" {
					first = x
				}
			}
		}
	}()
	return func() string { close(over); return <-got }
}
