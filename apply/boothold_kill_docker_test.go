package apply

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
	engines "speaker/trace/target"
)

// runsOn waits until a container's program is neither stopped nor traced, and wants no
// more filters on it than one besides its own.
func (e engine) runsOn(t *testing.T, own int) {
	t.Helper()
	pid := e.pid(t)
	if pid == 0 {
		t.Fatal("it does not run")
	}
	eventually(t, "it runs on", func() bool {
		i, err := proc.Read(pid)
		return err == nil && i.Tracer == 0 && !strings.ContainsRune("tTZ", rune(i.State))
	})
	if n := filters(t, pid); n != own && n != own+1 {
		t.Errorf("it has %d filters, %d are its own", n, own)
	}
}

// leaves has whatever keeper there is let the next life be.
func (e engine) leaves(t *testing.T) {
	t.Helper()
	h, err := Attach(e.id)
	if err == nil {
		err = h.Leave()
	}
	if err != nil && !errors.Is(err, ErrEnded) && !errors.Is(err, ErrBereft) {
		t.Fatal(err)
	}
}

// Whoever is killed at whatever step of a boot under a hold: the container is started,
// and its program runs, neither stopped nor traced.
func TestEveryStepOfABoot(t *testing.T) {
	e := inDocker(t, "speaker-apply-killed", "0", "run", "-d")
	own := filters(t, e.pid(t))
	for _, who := range []string{"injector", "parent"} {
		t.Run(map[string]string{"injector": "catcher", "parent": "keeper"}[who], func(t *testing.T) {
			everyStep(t, 25, func(t *testing.T, at int) bool {
				reached, reset := stepping(t, at, who)
				_, err := e.bootHeld(t, "restart")
				reset()
				if err == nil && !reached() {
					e.leaves(t)
					return false
				}
				e.runsOn(t, own)
				e.leaves(t)
				return true
			})
		})
	}
}

// A catcher that is killed while programs come in: they run, and the next ones are caught
// again.
func TestKilledWhileTheyComeIn(t *testing.T) {
	e := inDocker(t, "speaker-apply-killed-late", "0", "create")
	h, err := e.bootHeld(t, "start")
	if err != nil {
		t.Fatal(err)
	}
	own := filters(t, e.pid(t)) - 1
	for round := range 3 {
		keeper := status(t, h).Keeper
		ended := make(chan error, 4)
		for range cap(ended) {
			go func() { ended <- e.command("exec", e.id, "/first").Run() }()
		}
		time.Sleep(time.Duration(40+30*round) * time.Millisecond)
		for _, pid := range childrenOf(t, keeper) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		for range cap(ended) {
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Fatal("one that came in hangs")
			}
		}
		e.runsOn(t, own)
		eventually(t, "somebody catches again", func() bool { return status(t, h).Late.Catching })
	}
	e.comesIn(t, h, "0", LateStatus{Caught: 1})
}

func childrenOf(t *testing.T, pid int) (out []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		n, _ := strconv.Atoi(filepath.Base(p))
		if _, parent, ok := proc.Began(n); ok && parent == pid {
			out = append(out, n)
		}
	}
	return out
}

// Who came in while the catcher did not run is injected as soon as it does, or ended
// where the choice is to refuse.
func TestMissedAndInjected(t *testing.T) {
	e := inDocker(t, "speaker-apply-missed", "0", "create")
	h, err := e.bootHeld(t, "start")
	if err != nil {
		t.Fatal(err)
	}
	held := filters(t, e.pid(t))
	catcher := childrenOf(t, status(t, h).Keeper)
	if len(catcher) != 1 {
		t.Fatalf("the keeper's children are %v", catcher)
	}
	t.Cleanup(func() { _ = unix.Kill(catcher[0], unix.SIGCONT) })
	for _, choice := range []LateChoice{LateBoot, LateRun, LateRefuse} {
		if err := h.Late(choice); err != nil {
			t.Fatal(err)
		}
		before := *status(t, h).Late
		if err := unix.Kill(catcher[0], unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		e.run(t, "exec", "-d", e.id, "/few", "600")
		var late int
		eventually(t, "it runs", func() bool {
			for _, pid := range e.processes(t) {
				if pid != e.pid(t) {
					late = pid
				}
			}
			return late != 0 && filters(t, late) == held-1
		})
		if err := unix.Kill(catcher[0], unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is dealt with", func() bool {
			s := *status(t, h).Late
			if choice == LateRefuse {
				return s.Refused == before.Refused+1 && !proc.Runs(late)
			}
			return s.Injected == before.Injected+1 && s.Missed == 0 && filters(t, late) == held
		})
		_ = unix.Kill(late, unix.SIGKILL)
		eventually(t, "it is gone", func() bool { return len(e.processes(t)) == 1 })
	}
	e.runsOn(t, held-1)
}

// processes are those of a container whose program is few.
func (e engine) processes(t *testing.T) (out []int) {
	t.Helper()
	found, err := engines.FromPid(e.pid(t))
	if err != nil {
		t.Fatal(err)
	}
	found.Engine = "cgroup"
	list, err := found.Pids()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range list {
		if i, err := proc.Read(pid); err == nil && i.Comm == "few" && i.State != 'Z' {
			out = append(out, pid)
		}
	}
	return out
}
