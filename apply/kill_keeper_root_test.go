package apply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"speaker/apply/keeper"
	"speaker/trace/proc"
)

// steppedVar says at which call to the outside a keeper is killed, which file is made
// then, and the program that does it.
const steppedVar = "SPEAKER_TEST_KEEPER_STEP"

// stepped has this keeper run under the program that kills it, if that is wanted.
func stepped() {
	var at int
	var reached, stepper string
	if _, err := fmt.Sscan(os.Getenv(steppedVar), &at, &reached, &stepper); err != nil {
		return
	}
	_ = os.Unsetenv(steppedVar)
	me, _ := os.Executable()
	err := syscall.Exec(stepper, []string{stepper, fmt.Sprint(at), reached, me, keeper.Word}, os.Environ())
	fmt.Fprintln(os.Stderr, "run the keeper under ", stepper, ": ", err)
	os.Exit(1)
}

// A keeper is killed at every call that it makes to the outside, from its start over
// the crossing, a question and the undo to its target's end. The target lives and
// answers, its removed call is at no time let through that was denied before, and the
// next speaker says what happened.
func TestKillKeeperAtEveryCall(t *testing.T) {
	stepper := program(t, "stepper", "testdata/stepper.c")
	everyStep(t, 11, func(t *testing.T, at int) bool { return killKeeper(t, stepper, at) })
}

func killKeeper(t *testing.T, stepper string, at int) (reached bool) {
	ownHolds(t)
	s := launch(t)
	file := filepath.Join(t.TempDir(), "reached")
	t.Setenv(steppedVar, fmt.Sprint(at, " ", file, " ", stepper))
	defer os.Unsetenv(steppedVar)
	was := func() bool { _, err := os.Stat(file); return err == nil }
	h, err := StartHold(within(t), "stepped", Waiting{Pid: s.l.Pid, Release: s.l.Release}, testPolicy())
	if err != nil {
		if !was() {
			t.Fatal(err)
		}
		if _, err := proc.Read(s.l.Pid); err == nil { // it waits, or runs: the caller ends it
			standsWell(t, s.pids, map[int]int{s.l.Pid: 0}, false)
		}
		eventually(t, "no hold seems to be kept", func() bool {
			list, err := FindHolds()
			return err == nil && !slices.ContainsFunc(list, func(i HoldInfo) bool { return i.Alive })
		})
		return true
	}
	had := filtersOf(t, s.pids)
	for _, act := range []func() error{
		func() error { return s.gets(was, "ok") },
		h.Deny,
		func() error { return s.gets(was, "EPERM") },
		func() error { return h.AskFor(0, Asking{}) },
		func() error { return s.answered(h, was) },
		h.Allow,
		func() error { return s.gets(was, "ok") },
		h.Deny,
		func() error { return s.gets(was, "EPERM") },
	} {
		err := act()
		if was() {
			s.bereft(had)
			return true
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = unix.Kill(s.l.Pid, unix.SIGKILL)
	<-s.ended
	if err := h.End(); err != nil && !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	none(t)
	if list, err := os.ReadDir(keeperDir); err == nil && slices.ContainsFunc(list, func(e os.DirEntry) bool { return filepath.Ext(e.Name()) == ".json" }) {
		t.Errorf("records are left: %v", list)
	}
	return was()
}

// gets makes the removed call, which may come to that, and once the keeper is killed
// to ENOSYS.
func (s *server) gets(was func() bool, want string) error {
	if got := ask(s.t, s.dir, "mkdir"); got != want && !(got == "ENOSYS" && was()) {
		return fmt.Errorf("the removed call came to %s, want %s", got, want)
	}
	return nil
}

// answered has the removed call asked about, and allowed once.
func (s *server) answered(h *Hold, was func() bool) error {
	got := s.later()
	var q []Question
	eventually(s.t, "a question", func() bool {
		st, err := h.Status()
		q = st.Asked
		return err != nil || len(q) == 1
	})
	var err error
	if len(q) == 1 {
		err = h.Answer(q[0].ID, AllowOnce, 0)
	}
	if a := <-got; a != "ok" && !(a == "ENOSYS" && was()) {
		return fmt.Errorf("the call that was asked about came to %s, want ok", a)
	}
	return err
}

// bereft wants a target whose keeper was killed to live on, narrower, and that to be said.
func (s *server) bereft(had map[int]int) {
	s.t.Helper()
	eventually(s.t, "the keeper is said to be killed", func() bool { return errors.Is(attached("stepped"), ErrBereft) })
	list, err := FindHolds()
	if err != nil || len(list) != 1 || list[0].Alive || list[0].Sealed() {
		s.t.Errorf("holds: %+v %v", list, err)
	}
	s.wants("mkdir", "ENOSYS")
	s.wants("ping", "pong")
	standsWell(s.t, s.pids, had, false)
}

// none wants no hold to be there.
func none(t *testing.T) {
	t.Helper()
	eventually(t, "no hold is left", func() bool {
		list, err := FindHolds()
		return err == nil && len(list) == 0
	})
}
