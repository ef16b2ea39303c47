package tui

import (
	"slices"
	"testing"

	"speaker/tui/bench"
)

// A container that ended and runs again is told and can be watched again; one
// that did not cannot.
func TestWatchAgain(t *testing.T) {
	d, w := openDemo(t)
	d.keys("R")
	if slices.Contains(w.log(), "watch again") {
		t.Error("it has not ended")
	}
	w.set(func(s *bench.State) { s.Ended, s.Again = true, 77 })
	d.tick(2)
	d.keys("3")
	d.wants("started again by somebody else (pid 77)")
	w.set(func(s *bench.State) { s.Recorded = true })
	d.tick(2)
	d.wants("recorded since its first call")
	d.keys("R")
	if !slices.Contains(w.log(), "watch again") || d.m.work == bench.Work(w) {
		t.Errorf("did %v", w.log())
	}
}

// A hold without its keeper denies, and says what helps.
func TestHoldWithoutKeeper(t *testing.T) {
	d, w := openDemo(t)
	w.set(func(s *bench.State) { s.Applied, s.FiltersBefore = bench.Bereft, 2 })
	d.tick(2)
	d.keys("3")
	d.wants("removed calls fail with ENOSYS, for good", "2 filters before anything was applied")
	if !denies(bench.Bereft) {
		t.Error("it denies nothing")
	}
}
