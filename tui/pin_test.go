package tui

import (
	"strings"
	"testing"
	"time"

	"speaker/session"
	"speaker/trace"
)

// A rule pins the split from the screen, what it waits for is told, and moves are
// undone and redone from every pane.
func TestPinAndUndoByKeys(t *testing.T) {
	d, w := openDemo(t)
	d.size(120, 40)
	d.keys("a", "t", "p")
	d.wants("Pin the split by a rule", "listen-wait")
	for _, c := range "garbage 80" {
		d.send(press(string(c)))
	}
	d.send(press("enter"))
	d.wants("Pin the split by a rule", "garbage 80", `"garbage" is neither a time nor one of ready`)
	d.send(press("esc"))
	d.run(d.m.quick("pin", "", func() error { return w.Pin("ready 80") }))
	d.tick(10)
	d.wants("no split yet, all is boot: pinned: it waits for ready 80")
	w.s.AddMark(session.Mark{At: 3 * time.Second, Kind: session.MarkReady, Text: "tcp 127.0.0.1:80 answers"})
	d.tick(10)
	d.wants("split at 3.0", "pinned to ready 80")
	d.keys("4", ",")
	d.tick(10)
	if sp, ok := w.s.Split(); !ok || sp.Rule != "" {
		t.Errorf("after undo: %+v", sp)
	}
	d.keys(".")
	d.tick(10)
	if sp, _ := w.s.Split(); sp.Rule != "ready 80" {
		t.Errorf("after redo: %+v", sp)
	}
	d.keys("t", "v")
	d.wants("run may call", "before, at", "after, at", "unseen:", "known by time:")
	d.whole()
}

// A call that comes late in run is told at once, with its process, and counted.
func TestLateCallIsTold(t *testing.T) {
	d, w := openDemo(t)
	d.size(120, 36)
	d.keys("a")
	d.tick(10)
	end := w.s.Length()
	w.s.AddSamples([]session.Sample{{At: end + time.Millisecond, Pid: 77, Tid: 77, Group: trace.Main, Call: call("ptrace"), Comm: "ev\x1bil"}})
	row := session.Row{Group: trace.Main, Call: call("ptrace"), Count: 1, First: end + time.Millisecond, Last: end + time.Millisecond}
	if err := w.s.AddEpoch(session.Epoch{Start: end, End: end + 100*time.Millisecond, Rows: []session.Row{row}}); err != nil {
		t.Fatal(err)
	}
	d.tick(10)
	d.wants("new in run: ptrace at 12.00 s, by ev", "calls new in run")
	d.tick(80)
	d.keys("5")
	d.wants("New in run", "ptrace at 12.00 s")
	d.keys("4", "G")
	d.wants("NEW IN RUN")
	if !strings.Contains(d.picture(), "!") {
		t.Error("the timeline does not show it")
	}
	d.whole()
}
