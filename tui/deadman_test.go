package tui

import (
	"slices"
	"testing"
	"time"

	"speaker/apply"
	"speaker/tui/bench"
)

// What was crossed by key counts down on the screen, can be kept, and is told of
// when the keeper undoes it.
func TestDeadMan(t *testing.T) {
	d, w := openDemo(t)
	d.size(80, 24)
	d.keys("3", "K") // nothing to keep is the work's to say
	d.keys("c")
	d.wants("Unless you keep it (K) within 60 s")
	d.keys("esc")
	crossed := d.clock.now()
	w.set(func(s *bench.State) {
		s.Applied = bench.HoldDeny
		s.Hold = &apply.Status{Mode: "deny", Alive: true, Since: crossed, Until: crossed.Add(time.Minute)}
	})
	d.tick(1)
	d.wants("K keeps it (60 s left", "undone in 60 s unless kept (K)")
	d.tick(100)
	d.wants("K keeps it (50 s left", "undone in 50 s unless kept (K)")
	d.keys("K")
	d.tick(1)
	if !slices.Contains(w.log(), "keep") {
		t.Errorf("did %v", w.log())
	}
	d.wants("watch what is denied", "kept: removed calls stay denied")
	w.set(func(s *bench.State) {
		s.Applied = bench.HoldOpen
		s.Hold = &apply.Status{Mode: "allow", Alive: true, Since: d.clock.now(), Why: "nobody kept it within 1m0s"}
	})
	d.tick(1)
	d.wants("The hold was undone", "nobody kept it within 1m0s")
	d.keys("enter")
	d.tick(3)
	if len(d.m.dialogs) != 0 {
		t.Error("it is told twice")
	}
}

// The watchdog is switched by key, and what it undid stays on its pane.
func TestWatchdogOnScreen(t *testing.T) {
	d, w := openDemo(t)
	d.size(120, 36)
	w.set(func(s *bench.State) {
		s.Applied, s.Hold = bench.HoldOpen, &apply.Status{Mode: "allow", Watchdog: true, Alive: true, Why: "denial storm: x\x1b[2J"}
	})
	d.tick(1)
	d.keys("esc", "3")
	d.wants("undone by its keeper: denial storm")
	d.whole()
	d.keys("B")
	w.set(func(s *bench.State) { s.Hold = &apply.Status{Mode: "deny", Alive: true} })
	d.tick(1)
	d.wants("its watchdog is off (B)")
	d.keys("B")
	if got := w.log(); !slices.Contains(got, "watchdog false") || got[len(got)-1] != "watchdog true" {
		t.Errorf("did %v", got)
	}
}
