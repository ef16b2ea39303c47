package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
)

// typeIn presses one key for each letter.
func (d *driver) typeIn(s string) {
	for _, r := range s {
		d.keys(map[rune]string{' ': "space"}[r] + strings.TrimSpace(string(r)))
	}
}

// onRow leaves the rows of pane 4 that a filter finds, with the cursor on the first.
func (d *driver) onRow(filter string) {
	d.m.marks.filter = ""
	d.keys("4", "/")
	d.typeIn(filter)
	d.keys("enter", "g")
}

// A reload is marked from row to row, adjusted, and left out: what run loses by
// that is on screen, and that the next reload fails.
func TestAReloadIsMarkedByHand(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a")
	narrow := func() policy.Set {
		sp, _ := w.s.Split()
		return w.s.Policy(sp).Narrow()
	}
	before := narrow()
	if !before.Has(call("rename")) {
		t.Fatal("rename is not in run")
	}
	d.keys(")")
	d.wants("no reload has begun")
	d.onRow("administrative")
	d.keys("(")
	d.wants("a reload is marked from the row under the cursor, 8.000s")
	d.tick(10)
	d.onRow("marked by hand")
	d.wants("ADMIN", "not ended", ") reload ends")
	d.keys("E", "tab")
	d.typeIn("nonsense")
	d.keys("enter")
	d.wants("are no times")
	d.keys("E", "tab")
	d.typeIn("8.1")
	d.keys("enter")
	d.wants("the reload is adjusted; u undoes it")
	d.tick(70)
	d.wants("to 8.100s: marked by hand, by user")
	if got := w.s.Admins(); len(got) != 1 || got[0].From != 8*time.Second || got[0].To != 8100*time.Millisecond {
		t.Errorf("marked %+v", got)
	}
	d.wants("@") // on the timeline, in one column
	d.keys("esc", "2")
	d.wants("admin in 1")
	d.keys("O")
	d.wants("what was seen in admin is left out: 1 call fewer in run; u undoes it", "admin out 1")
	if gone := before.Minus(narrow()); gone.String() != "rename" {
		t.Errorf("run lost %q", gone)
	}
	d.keys("3")
	d.wants("Reloads (admin): 1 interval marked, out.", "run denies 1 call that they used", "Reloads (admin) used 1 call outside run: rename")
	d.keys("L")
	d.wants("under the run set of now it will fail", "rename")
	d.keys("esc", "u")
	if !narrow().Equal(before) {
		t.Error("undo did not include it again")
	}
	d.onRow("marked by hand")
	d.keys("X")
	if len(w.s.Admins()) != 0 {
		t.Errorf("removed, and still %+v", w.s.Admins())
	}
	d.keys("u", "u", "u", "u")
	if len(w.s.Admins()) != 0 {
		t.Errorf("all undone, and still %+v", w.s.Admins())
	}
	d.whole()
}

// What is recognised is told, and one key decides on it.
func TestARecognisedReloadIsTakenOrDismissed(t *testing.T) {
	for key, want := range map[string][]string{
		"M": {"the reload is taken as admin; u undoes it", "admin in 1"},
		"X": {"dismissed: what it called stays run; u undoes it", "exec out"},
	} {
		d, w := openDemo(t)
		w.s.AddMark(session.Mark{At: 8 * time.Second, Kind: session.MarkReload, Pid: 4242, Comm: "de\x1b[2Jmo", Text: "SIGHUP from outside (pid 9)"})
		d.keys("a")
		d.tick(8)
		d.wants("a reload? M takes it as admin, X does not: 8.000s to ")
		d.tick(70)
		d.wants("~")
		d.onRow("sighup")
		d.wants("reload?", "M takes it as admin", "M take reload")
		d.whole()
		d.keys(key)
		d.tick(8)
		d.keys("esc", "2")
		d.wants(want...)
		took := slices.ContainsFunc(w.s.Admins(), func(a session.Admin) bool { return a.By == "user, as recognised" })
		if took != (key == "M") {
			t.Errorf("%s: marked %+v", key, w.s.Admins())
		}
		sp, _ := w.s.Split()
		if left := w.s.Recognise(sp); len(left) > 0 {
			t.Errorf("%s: still recognised: %+v", key, left)
		}
	}
}

// At any size, marked and recognised reloads are told apart without colour.
func TestReloadsOnTheTimeline(t *testing.T) {
	for _, size := range goldenSizes {
		d, w := openDemo(t)
		for _, a := range []session.Admin{{From: 5 * time.Second, To: 7 * time.Second}, {From: 11 * time.Second}} {
			if err := w.s.ChangeAdmin(session.AdminChange{Op: session.AdminAdd, Admin: a}); err != nil {
				t.Fatal(err)
			}
		}
		w.s.AddMark(session.Mark{At: 8 * time.Second, Kind: session.MarkReload, Pid: 4242})
		d.keys("a")
		d.size(size.w, size.h)
		for _, pane := range []string{"1", "2", "3", "4", "5", "t"} {
			d.keys(pane)
			d.tick(70)
			d.whole()
		}
		if size.w >= 60 {
			d.wants("(=", ")")
		}
	}
}
