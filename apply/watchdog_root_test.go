package apply

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"speaker/apply/keeper"
)

// heldGroup starts the server under a hold, in a cgroup of its own.
func heldGroup(t *testing.T, name string) (*server, *Hold) {
	t.Helper()
	needRoot(t)
	ownHolds(t)
	dir, _ := group(t)
	s := &server{t: t, dir: t.TempDir(), cgroup: dir, ended: make(chan struct{})}
	l, err := Launch([]string{"/proc/self/exe", "_server", s.dir}, LaunchOptions{Cgroup: dir})
	if err != nil {
		t.Fatal(err)
	}
	s.l = l
	go func() { _ = l.Wait(); close(s.ended) }()
	h, err := StartHold(within(t), name, Waiting{Pid: l.Pid, Release: l.Release, Cgroup: dir}, testPolicy())
	if err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "ok")
	return s, h
}

// tell sends a word to which no answer need come.
func (s *server) tell(word string) { fmt.Fprintln(dial(s.t, s.dir), word) }

// undone waits for the keeper to undo a hold, and wants its reason to begin so.
func undone(t *testing.T, h *Hold, why string) {
	t.Helper()
	eventually(t, "undo: "+why, func() bool { return status(t, h).Mode == keeper.Allow })
	if st := status(t, h); !strings.Contains(st.Why, why) {
		t.Errorf("undone because %q, want %q", st.Why, why)
	}
}

func TestWatchdogStorm(t *testing.T) {
	s, h := held(t, "storm")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("storm", "ok") // the call that is one too many is let through
	undone(t, h, fmt.Sprintf("denial storm: mkdirat was denied to process %d", s.l.Pid))
	if st := status(t, h); st.Denied < StormRate-1 { // more, where a second had passed
		t.Errorf("%d were denied", st.Denied)
	}
	if err := h.Guard(false); err != nil {
		t.Fatal(err)
	}
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("storm", "EPERM")
	if st := status(t, h); st.Mode != keeper.Deny || st.Watchdog || st.Why != "" {
		t.Errorf("%+v", st)
	}
}

// A worker that dies of a denial, or of a crash, soon after the crossing takes the
// denial along.
func TestWatchdogDeath(t *testing.T) {
	s, h := heldGroup(t, "worker")
	s.wants("child", "ok")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("child", "exit status 3")
	undone(t, h, "ended with status 3 after it was denied mkdirat")
	s.wants("child", "ok")
	if err := h.Guard(false); err != nil {
		t.Fatal(err)
	}
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("child", "exit status 3")
	if st := status(t, h); st.Mode != keeper.Deny {
		t.Errorf("undone though unwatched: %+v", st)
	}
}

// The end of the program itself is told in the journal.
func TestWatchdogProgram(t *testing.T) {
	for word, want := range map[string]string{"crash": "ended with status 3 after it was denied mkdirat", "abort": "was killed by SIGKILL"} {
		t.Run(word, func(t *testing.T) {
			s, h := heldGroup(t, word)
			if err := h.Deny(); err != nil {
				t.Fatal(err)
			}
			s.tell(word)
			<-s.ended
			eventually(t, want, func() bool {
				list, _ := HoldJournal(word)
				for _, e := range list {
					if strings.Contains(e.Why, want) {
						return true
					}
				}
				return false
			})
		})
	}
}

// What is asked to end, or ended well, is no reason.
func TestWatchdogLetsEnd(t *testing.T) {
	s, h := heldGroup(t, "polite")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	_ = unix.Kill(s.l.Pid, unix.SIGTERM)
	<-s.ended
	if err := h.End(); err != nil {
		t.Fatal(err)
	}
	list, err := HoldJournal("polite")
	for _, e := range list {
		if err != nil || e.Mode == keeper.Allow {
			t.Errorf("%+v %v", e, err)
		}
	}
}
