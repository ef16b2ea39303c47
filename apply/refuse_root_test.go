package apply

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A hold that cannot be made leaves no keeper, and the process as it was.
func TestHoldRefused(t *testing.T) {
	t.Run("name", func(t *testing.T) {
		ownHolds(t)
		s := launch(t)
		for _, name := range []string{"", "../x", "a/b", ".hidden", strings.Repeat("x", 200), "nul\x00", "ümlaut"} {
			if _, err := StartHold(within(t), name, Waiting{Pid: s.l.Pid, Release: s.l.Release}, testPolicy()); err == nil {
				t.Errorf("name %q was taken", name)
			}
		}
		if err := s.l.Release(); err != nil {
			t.Fatal(err)
		}
		s.wants("mkdir", "ok")
	})
	t.Run("twice", func(t *testing.T) {
		s, _ := held(t, "twin")
		other := launch(t)
		if _, err := StartHold(within(t), "twin", Waiting{Pid: other.l.Pid, Release: other.l.Release}, testPolicy()); err == nil || !strings.Contains(err.Error(), "there is one") {
			t.Errorf("a second hold of that name: %v", err)
		}
		s.wants("mkdir", "ok")
	})
	t.Run("release", func(t *testing.T) {
		ownHolds(t)
		s := launch(t)
		no := errors.New("no")
		if _, err := StartHold(within(t), "unreleased", Waiting{Pid: s.l.Pid, Release: func() error { return no }}, testPolicy()); !errors.Is(err, no) {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.l.Pid))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), "TracerPid:\t0\n") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("it stays traced:\n%s", b)
			}
		}
		if err := s.l.Release(); err != nil {
			t.Fatal(err)
		}
		s.wants("mkdir", "ok")
	})
	t.Run("process", func(t *testing.T) {
		needRoot(t)
		ownHolds(t)
		released := false
		_, err := StartHold(within(t), "nobody", Waiting{Pid: 1<<22 - 1, Release: func() error { released = true; return nil }}, testPolicy())
		if err == nil || released {
			t.Errorf("a process that is not there: %v, released %v", err, released)
		}
	})
}
