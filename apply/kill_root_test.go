package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/ptrace"
	"speaker/trace/proc"
)

// stepVar says at which step of all injectors together somebody is killed, who
// ("injector", "parent" or a pid; "keeper" and "kept": of those that a keeper started
// alone, the keeper or the injector), and in which file the steps are counted.
const stepVar = "SPEAKER_TEST_STEP"

// killAtStep has this injector count its steps, and kill -9 at the one that is named.
func killAtStep() {
	var at int64
	var who, counter string
	if _, err := fmt.Sscan(os.Getenv(stepVar), &at, &who, &counter); err != nil {
		return
	}
	victim := os.Getpid()
	switch who {
	case "injector":
	case "parent":
		victim = os.Getppid()
	case "keeper", "kept":
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid()))
		if string(comm) != "speaker-keeper\n" {
			return
		}
		if who == "keeper" {
			victim = os.Getppid()
		}
	default:
		fmt.Sscan(who, &victim)
	}
	ptrace.OnStep = func() {
		f, err := os.OpenFile(counter, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return
		}
		defer f.Close()
		_, _ = f.Write([]byte{'.'})
		if info, err := f.Stat(); err == nil && info.Size() == at {
			_ = unix.Kill(victim, unix.SIGKILL)
			if victim == os.Getpid() {
				select {}
			}
		}
	}
}

// stepping sets a step at which to kill, until reset. reached says whether it came.
func stepping(t *testing.T, at int, who string) (reached func() bool, reset func()) {
	t.Helper()
	counter := filepath.Join(t.TempDir(), "steps")
	t.Setenv(stepVar, fmt.Sprint(at, " ", who, " ", counter))
	reached = func() bool {
		info, err := os.Stat(counter)
		return err == nil && info.Size() >= int64(at)
	}
	return reached, func() { _ = os.Unsetenv(stepVar) }
}

// everyStep plays a way through once for each of its steps, until one is not reached;
// for every few only, when that takes long and SPEAKER_TEST_LONG is not set.
func everyStep(t *testing.T, few int, play func(t *testing.T, at int) (reached bool)) {
	t.Helper()
	needRoot(t)
	if os.Getenv("SPEAKER_TEST_LONG") != "" {
		few = 1
	}
	for at := 1; ; at += few {
		more := false
		t.Run(fmt.Sprint("step ", at), func(t *testing.T) { more = play(t, at) })
		if t.Failed() || at > 500 {
			t.Fatal("stopped at step ", at)
		}
		if !more {
			t.Logf("%d steps at the most", at-1)
			return
		}
	}
}

// standsWell waits until nobody is stopped or traced, and wants every process alive
// and no thread with fewer filters than it had, nor with more than one more.
func standsWell(t *testing.T, pids func() ([]int, error), had map[int]int, all bool) {
	t.Helper()
	list, err := pids()
	if err != nil || len(list) != len(had) {
		t.Fatalf("processes %v, had %v (%v)", list, had, err)
	}
	for _, pid := range list {
		eventually(t, fmt.Sprint("process ", pid, " runs on"), func() bool {
			i, err := proc.Read(pid)
			return err == nil && i.Tracer == 0 && !strings.ContainsRune("tTZ", rune(i.State))
		})
		for _, got := range filtersByThread(pid) {
			if got < had[pid] || got > had[pid]+1 || all && got != had[pid]+1 {
				t.Errorf("process %d: a thread has %d filters, it had %d", pid, got, had[pid])
			}
		}
	}
}

// Whoever is killed at whatever step of an injection into processes of several kinds:
// all live and run on, none is wider, no thread has half of it; what was done is
// known, and another injection finishes it.
func TestKillInjectionAtEveryStep(t *testing.T) {
	path := target(t)
	everyStep(t, 1, func(t *testing.T, at int) bool {
		ownHolds(t)
		dir, pids := group(t)
		run(t, dir, path, "pause")
		run(t, dir, path, "+epoll") // it may see an EINTR, as from a tracer
		eventually(t, "both wait", func() bool { list, _ := pids(); return len(list) == 2 })
		had := filtersOf(t, pids)
		s, err := SubjectOf(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		spec := testPolicy().NarrowSpec()
		settle, err := ExpectInjection(s, spec, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		reached, reset := stepping(t, at, "injector")
		r, injected := Inject(within(t), pids, narrowFilter(t))
		reset()
		if (injected != nil) != reached() || injected != nil && !errors.Is(injected, ErrUnsure) {
			t.Errorf("killed %v: %v %+v", reached(), injected, r)
		}
		if err := settle(r, injected); err != nil {
			t.Fatal(err)
		}
		standsWell(t, pids, had, !reached())
		if i, found, err := FindInjection(s); err != nil || !found || i.Whole == reached() {
			t.Errorf("what is known: %v %v, whole %v", found, err, i.Whole)
		}
		if _, err := Inject(within(t), pids, narrowFilter(t)); err != nil {
			t.Error("again: ", err)
		}
		standsWell(t, pids, had, true)
		if proof, err := Prove(within(t), pids, spec); err != nil || !proof.OK {
			t.Errorf("%v %v", err, proof.Text)
		}
		return reached()
	})
}

// sealer is a workbench that seals a hold, which it finds by its name.
func sealer(holds, pid string) int {
	keeperDir = holds
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	h, err := Attach("walked")
	if err == nil {
		n, _ := strconv.Atoi(pid)
		_, _, err = h.Seal(ctx, func() ([]int, error) { return []int{n}, nil })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Whoever is killed at whatever step of a seal: the program lives and answers, its
// removed call is never let through again, and unless the keeper is gone the next
// workbench seals.
func TestKillSealAtEveryStep(t *testing.T) {
	for _, who := range []string{"injector", "parent", "keeper"} {
		t.Run(who, func(t *testing.T) {
			everyStep(t, 5, func(t *testing.T, at int) bool { return killSealing(t, who, at) })
		})
	}
}

func killSealing(t *testing.T, who string, at int) (reached bool) {
	s, h := held(t, "walked")
	s.wants("mkdir", "ok")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	had := filtersOf(t, s.pids)
	victim := who
	if who == "keeper" {
		victim = strconv.Itoa(st.Keeper)
	}
	was, reset := stepping(t, at, victim)
	failed := exec.Command("/proc/self/exe", "_sealer", keeperDir, strconv.Itoa(s.l.Pid)).Run()
	reset()
	if reached = was(); !reached && failed != nil || reached && failed == nil && who != "injector" {
		t.Errorf("killed %v, and the seal ended with %v", reached, failed)
	}
	standsWell(t, s.pids, had, !reached)
	if got := ask(t, s.dir, "mkdir"); got != "EPERM" && (who != "keeper" || got != "ENOSYS") {
		t.Errorf("the removed call: %s", got)
	}
	if !reached {
		return false
	}
	if who == "keeper" {
		if err := h.Allow(); !errors.Is(err, ErrBereft) {
			t.Errorf("of the killed keeper: %v", err)
		}
		return true
	}
	eventually(t, "the next workbench seals", func() bool {
		err = exec.Command("/proc/self/exe", "_sealer", keeperDir, strconv.Itoa(s.l.Pid)).Run()
		return err == nil || errors.Is(attached("walked"), ErrSealed)
	})
	standsWell(t, s.pids, had, true)
	s.wants("mkdir", "EPERM")
	return true
}

func attached(name string) error {
	_, err := Attach(name)
	return err
}

// Whoever is killed at whatever step of the start of a hold, it is told; what waits
// or runs is neither stopped nor traced, and no hold seems to be in place.
func TestKillHoldStartAtEveryStep(t *testing.T) {
	for _, who := range []string{"injector", "parent"} { // the parent is the keeper
		t.Run(who, func(t *testing.T) {
			everyStep(t, 1, func(t *testing.T, at int) bool {
				ownHolds(t)
				s := launch(t)
				was, reset := stepping(t, at, who)
				h, err := StartHold(within(t), "begun", Waiting{Pid: s.l.Pid, Release: s.l.Release}, testPolicy())
				reset()
				reached := was()
				if reached != (err != nil) {
					t.Errorf("killed %v: %v", reached, err)
				}
				if err == nil {
					s.wants("mkdir", "ok")
					if err := h.Deny(); err != nil {
						t.Error(err)
					}
					s.wants("mkdir", "EPERM")
					return reached
				}
				if _, err := proc.Read(s.l.Pid); err == nil {
					standsWell(t, s.pids, map[int]int{s.l.Pid: 0}, false)
				}
				if found, err := FindHolds(); err != nil || slices.ContainsFunc(found, func(i HoldInfo) bool { return i.Alive }) {
					t.Errorf("holds: %+v %v", found, err)
				}
				return reached
			})
		})
	}
}
