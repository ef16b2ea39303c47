package apply

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// What was done is told, whatever ends the work early.
func TestReportOfUnfinishedWork(t *testing.T) {
	// The calls of pids: 1 looks for rings, 2 begins the first pass.
	interrupted := func(t *testing.T, at int, then func() error) (Report, int, error) {
		pid, pids := hostile(t, "pause")
		calls := 0
		return first(Inject(within(t), func() ([]int, error) {
			if calls++; calls >= at {
				if err := then(); err != nil {
					return nil, err
				}
			}
			return pids()
		}, narrowFilter(t)))(pid)
	}
	no := errors.New("no")
	t.Run("no list at first", func(t *testing.T) {
		r, pid, err := interrupted(t, 2, func() error { return no })
		if !errors.Is(err, no) || r.Applied() || threads(pid, 1) != 0 {
			t.Errorf("%v %+v", err, r)
		}
	})
	t.Run("no list later", func(t *testing.T) {
		r, pid, err := interrupted(t, 3, func() error { return no })
		if !errors.Is(err, no) || r.Processes != 1 || r.Unsure || threads(pid, 1) != 1 {
			t.Errorf("%v %+v", err, r)
		}
	})
	t.Run("injector killed", func(t *testing.T) {
		r, pid, err := interrupted(t, 3, func() error { killInjector(t); return nil })
		if !errors.Is(err, ErrUnsure) || !r.Unsure || !r.Applied() || r.Processes != 1 || threads(pid, 1) != 1 {
			t.Errorf("%v %+v", err, r)
		}
	})
}

// first hands two results on with a third.
func first(r Report, err error) func(int) (Report, int, error) {
	return func(pid int) (Report, int, error) { return r, pid, err }
}

func killInjector(t *testing.T) {
	t.Helper()
	pids, err := proc.Tree(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if i, err := proc.Read(pid); err == nil && i.Comm == "speaker-inject" && i.PPid == os.Getpid() {
			_ = unix.Kill(pid, unix.SIGKILL)
			return
		}
	}
	t.Error("there is no injector")
}

// Once a process has the filter all get it, by our list, though nobody waits.
func TestCancelledInjectionEnds(t *testing.T) {
	dir, pids := group(t)
	path := target(t)
	a := run(t, dir, path, "pause")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	calls, b := 0, 0
	r, err := Inject(ctx, func() ([]int, error) {
		if calls++; calls == 3 {
			cancel()
			b = run(t, dir, path, "pause").Pid // no child of what was listed
		}
		return pids()
	}, narrowFilter(t))
	if err != nil || r.Processes != 2 || threads(a.Pid, 1) != 1 || threads(b, 1) != 1 {
		t.Errorf("%v %+v", err, r)
	}
	r, err = Inject(ctx, pids, narrowFilter(t))
	if !errors.Is(err, context.Canceled) || r.Applied() {
		t.Errorf("cancelled before: %v %+v", err, r)
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{count(1, "process"), "1 process"},
		{count(2, "process"), "2 processes"},
		{count(0, "thread"), "0 threads"},
		{verb(1, "have"), "has"},
		{verb(2, "be"), "are"},
		{verb(1, "answer"), "answers"},
		{verb(3, "differ"), "differ"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	p := Proof{Processes: 1, Threads: 1, NoNewPrivs: []int{7}, NoFilter: []int{7}}
	got := strings.Join(p.sentences(), " ")
	if got != "Not proved: looked at 1 thread of 1 process. 1 process has a thread without any filter. 1 process has no_new_privs: setuid programs have no power there." {
		t.Error(got)
	}
}
