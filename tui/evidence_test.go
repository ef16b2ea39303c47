package tui

import (
	"slices"
	"testing"
)

// A readiness probe is named, another one beside it, and none any more.
func TestNameAReadinessProbe(t *testing.T) {
	d, w := openDemo(t)
	d.keys("W", "ctrl+u")
	d.typeIn("tcp:8080")
	d.keys("enter", "enter")
	d.keys("W", "ctrl+u")
	d.typeIn("log:it is up")
	d.keys("enter", "right", "enter")
	d.keys("W")
	d.wants("Now: tcp:8080")
	d.keys("enter", "left", "enter")
	want := []string{`ready ["tcp:8080"]`, `ready ["tcp:8080" "log:it is up"]`, `ready []`}
	if got := w.log(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	d.keys("W", "ctrl+u")
	d.typeIn("tcp:none")
	d.keys("enter", "enter")
	d.wants("is not a port")
}

// Every detector's opinion is told, with its evidence.
func TestEvidence(t *testing.T) {
	d, _ := openDemo(t)
	d.keys("D")
	for _, x := range []string{"readiness probe: none", "no readiness probe was named", "listening wait: 2.3", "confidence high", "flat curve: none"} {
		d.wants(x)
	}
}
