package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
	"speaker/trace/proc"
	"speaker/tui/bench"
)

// decide waits for a split, accepts it, and denies a call in run that nobody
// makes, as the edit to be found again.
func decide(t *testing.T, w bench.Work) {
	t.Helper()
	if err := acceptWhenReady(w, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Edit(policy.Edit{Op: policy.OpDeny, Call: call(t, "acct"), Phase: policy.Run}); err != nil {
		t.Fatal(err)
	}
}

// demo watches a new demo.
func demo(t *testing.T, o bench.Options) bench.Work {
	t.Helper()
	needTracer(t)
	removeNew(t)
	if o.SessionDir == "" {
		o.SessionDir = t.TempDir()
	}
	w, err := bench.New(o).Watch(soon(t), "demo", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func edits(w bench.Work) []policy.Edit { return w.Session().Edits() }

// hold boots the work's target under a hold.
func hold(t *testing.T, w bench.Work) bench.Work {
	t.Helper()
	n, err := w.Hold(soon(t), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// becomes waits until what is applied is as wanted.
func becomes(t *testing.T, w bench.Work, want bench.Applied) {
	t.Helper()
	eventually(t, string(want), func() (bool, string) {
		s := w.State()
		return s.Applied == want, string(s.Applied)
	})
}

// From every state of a hold the target boots again, held or bare; the edits come
// along, and the work before is over.
func TestBootAgain(t *testing.T) {
	whole := t // what is booted outlives its part of the test
	w := demo(t, bench.Options{})
	decide(t, w)
	for _, x := range []struct {
		name  string
		enter func(*testing.T, bench.Work)
		bare  bool
	}{
		{"boot", func(*testing.T, bench.Work) {}, false},
		{"deny", func(t *testing.T, w bench.Work) { do(t, cross(w)) }, true},
		{"undone", func(t *testing.T, w bench.Work) { do(t, cross(w)); do(t, w.UndoHold) }, true},
		{"bereft", func(t *testing.T, w bench.Work) { killKeeper(t, w); becomes(t, w, bench.Bereft) }, false},
		{"sealed", func(t *testing.T, w bench.Work) {
			if p, err := w.Seal(soon(t)); err != nil || !p.OK {
				t.Fatalf("%v %v", err, p.Text)
			}
		}, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			had := edits(w)
			h := hold(whole, w)
			isOver(t, w)
			if err := acceptWhenReady(h, 0); err != nil {
				t.Fatal(err)
			}
			x.enter(t, h)
			if x.bare {
				n, err := h.Reboot(soon(t))
				if err != nil {
					t.Fatal(err)
				}
				whole.Cleanup(func() { n.Close() })
				w = n
			} else {
				w = hold(whole, h)
			}
			if err := acceptWhenReady(w, 0); err != nil {
				t.Fatal(err)
			}
			isOver(t, h)
			if !reflect.DeepEqual(edits(w), had) {
				t.Errorf("the edits are %v, were %v", edits(w), had)
			}
			if s := w.State(); s.Ended || s.Ends != x.bare {
				t.Errorf("ended %v, ends %v", s.Ended, s.Ends)
			}
		})
	}
}

// cross crosses the split of a hold for good.
func cross(w bench.Work) func() error { return func() error { return w.CrossSplit(0) } }

func do(t *testing.T, f func() error) {
	t.Helper()
	if err := f(); err != nil {
		t.Fatal(err)
	}
}

func killKeeper(t *testing.T, w bench.Work) {
	t.Helper()
	eventually(t, "the keeper's number", func() (bool, string) { return w.State().Hold != nil, "" })
	if err := syscall.Kill(w.State().Hold.Keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// isOver finds a work closed: it says so, and takes nothing that would be lost.
func isOver(t *testing.T, w bench.Work) {
	t.Helper()
	if !w.State().Ended {
		t.Error("a closed work does not say that it has ended")
	}
	if err := w.Mark("lost"); !errors.Is(err, bench.ErrClosed) {
		t.Errorf("a mark: %v", err)
	}
	if _, damage, err := session.Open(w.State().Recording); err != nil || damage.String() != "" {
		t.Errorf("its file: %v %v", damage, err)
	}
}

// A boot that fails leaves the work open: before anything was done, with the
// target as it was, and after it, with the target ended and the file written on.
func TestBootAgainFails(t *testing.T) {
	needTracer(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.Symlink("/bin/sleep", program); err != nil {
		t.Fatal(err)
	}
	sessions := filepath.Join(dir, "sessions")
	w, err := bench.New(bench.Options{SessionDir: sessions, Command: []string{program, "1000"}}).Watch(soon(t), "run", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	pid := w.State().Item.Pid
	lives := func(what string) {
		t.Helper()
		if s := w.State(); s.Ended || !s.Ends || syscall.Kill(pid, 0) != nil {
			t.Errorf("%s: ended %v", what, s.Ended)
		}
		do(t, func() error { return w.Mark(what) })
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Reboot(over); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	lives("cancelled")
	away := sessions + ".away"
	do(t, func() error { return errors.Join(os.Rename(sessions, away), os.WriteFile(sessions, nil, 0o600)) })
	if _, err := w.Reboot(soon(t)); err == nil {
		t.Error("booted without a place for its session")
	}
	lives("nowhere to record")
	do(t, func() error {
		return errors.Join(os.Remove(sessions), os.Rename(away, sessions), os.Remove(program))
	})
	if _, err := w.Reboot(soon(t)); err == nil {
		t.Error("booted what is not there")
	}
	s := w.State()
	if !s.Ended || !slices.ContainsFunc(s.Problems, func(p string) bool { return strings.Contains(p, "could not be started again") }) {
		t.Errorf("ended %v, problems %q", s.Ended, s.Problems)
	}
	do(t, func() error { return w.Mark("after the end") })
	do(t, w.Close)
	saved, _, err := session.Open(s.Recording)
	if err != nil || !slices.ContainsFunc(saved.Marks(), func(m session.Mark) bool { return m.Text == "after the end" }) {
		t.Errorf("its file: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(sessions, "*")); err != nil || len(left) != 1 {
		t.Errorf("sessions: %v %v", left, err)
	}
}

// What another shell does to a hold is on the screen, and what an earlier speaker
// left is known to the next.
func TestSwitchedElsewhere(t *testing.T) {
	w := demo(t, bench.Options{})
	decide(t, w)
	w = hold(t, w)
	if err := acceptWhenReady(w, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hold's status", func() (bool, string) { return w.State().Hold != nil, "" })
	name := w.State().Hold.Name
	cgroup := own(t)[name]
	output(t, speaker(t, "hold", name, "deny"))
	becomes(t, w, bench.HoldDeny)
	output(t, speaker(t, "hold", name, "allow"))
	becomes(t, w, bench.HoldOpen)
	later := watchAgain(t, cgroup.CgroupPath, bench.HoldOpen)
	output(t, speaker(t, "hold", name, "seal", "--yes"))
	becomes(t, w, bench.Sealed)
	becomes(t, later, bench.Sealed)
	for _, f := range []func() error{w.UndoHold, cross(w), later.UndoHold} {
		if err := f(); !errors.Is(err, apply.ErrSealed) {
			t.Errorf("after the seal: %v", err)
		}
	}
	watchAgain(t, cgroup.CgroupPath, bench.Sealed)
}

// watchAgain watches what an earlier speaker left as a new one does, and proves
// it.
func watchAgain(t *testing.T, cgroup string, want bench.Applied) bench.Work {
	t.Helper()
	w, err := bench.New(bench.Options{NoFile: true}).Watch(soon(t), "cgroup:"+cgroup, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if s := w.State(); s.Applied != want || s.FiltersBefore == 0 || s.Ends {
		t.Errorf("applied %s, %d filters from before, ends %v", s.Applied, s.FiltersBefore, s.Ends)
	}
	if p, err := w.Prove(soon(t)); err != nil || !p.OK {
		t.Errorf("%v %v", err, p.Text)
	}
	return w
}

// Read-only, the demo is watched and nothing else is done.
func TestReadOnly(t *testing.T) {
	w := demo(t, bench.Options{ReadOnly: true})
	decide(t, w)
	ctx := soon(t)
	b := bench.New(bench.Options{ReadOnly: true, NoFile: true, Command: []string{"true"}})
	for what, f := range map[string]func() error{
		"hold":   func() error { _, err := w.Hold(ctx, false); return err },
		"reboot": func() error { _, err := w.Reboot(ctx); return err },
		"inject": func() error { _, _, err := w.Inject(ctx); return err },
		"seal":   func() error { _, err := w.Seal(ctx); return err },
		"reload": func() error { _, err := w.Reload(); return err },
		"cross":  cross(w),
		"keep":   w.KeepHold,
		"ask":    func() error { return w.AskSplit(0, apply.Asking{}) },
		"guard":  func() error { return w.Guard(false) },
		"undo":   w.UndoHold,
		"run":    func() error { _, err := b.Watch(ctx, "run", true); return err },
		"boot":   func() error { _, err := b.Watch(ctx, "docker:x", true); return err },
	} {
		if err := f(); !errors.Is(err, bench.ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if i, err := proc.Read(w.State().Item.Pid); err != nil || i.Filters != 0 {
		t.Errorf("%d filters, %v", i.Filters, err)
	}
}
