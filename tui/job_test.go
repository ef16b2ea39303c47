package tui

import (
	"context"
	"slices"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/session"
	"speaker/trace"
)

// A command that was asked for and never run, because the program ended first,
// is not waited for; one that runs is.
func TestCloseWaitsForWhatRuns(t *testing.T) {
	d, w := openDemo(t)
	if d.m.take() == nil || d.m.enqueue(job{title: "never", run: func(context.Context) (func(*model) tea.Cmd, error) { return nil, nil }}) == nil {
		t.Fatal("no commands")
	}
	done, ok := d.m.works.begin()
	if !ok {
		t.Fatal("closed already")
	}
	closed := make(chan error)
	go func() { closed <- d.m.works.close(time.Minute) }()
	select {
	case <-closed:
		t.Error("did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	done()
	if err := <-closed; err != nil || w.closed != 1 {
		t.Errorf("%v, closed %d times", err, w.closed)
	}
	if _, ok := d.m.works.begin(); ok {
		t.Error("something begins after the end")
	}
}

// An edit that waits for a slower job is made before the program ends.
func TestQuitMakesQueuedEdits(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "/", "m", "k", "d", "i", "r", "enter")
	save := d.m.enqueue(job{title: "save", run: func(context.Context) (func(*model) tea.Cmd, error) { return nil, w.note("save") }})
	d.send(press("space"))
	d.m.enqueue(job{title: "hold", long: true, run: func(context.Context) (func(*model) tea.Cmd, error) { return nil, w.note("hold") }})
	d.send(press("q"))
	if d.quit || slices.Contains(w.log(), "edit deny mkdir run") {
		t.Fatal("it did not wait for the save")
	}
	d.run(save)
	want := []string{"save", "edit allow mkdir run"}
	if got := w.log(); !d.quit || !slices.Equal(got[len(got)-2:], want) {
		t.Errorf("quit %v, did %v, want at the end %v", d.quit, got, want)
	}
}

// A call that comes in above the cursor does not put another one under it.
func TestCursorStaysOnItsCall(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "j", "j", "j")
	on, _ := d.m.sets.chosen(d.m.snap)
	length := w.s.Length()
	if err := w.s.AddEpoch(session.Epoch{Start: length, End: length + 100*time.Millisecond, Rows: []session.Row{
		{Group: trace.Main, Call: call("accept"), Count: 1, First: length + 1, Last: length + 1}}}); err != nil {
		t.Fatal(err)
	}
	d.tick(2)
	if got, _ := d.m.sets.chosen(d.m.snap); got.Call != on.Call {
		t.Errorf("the cursor is on %v, it was on %v", got.Call, on.Call)
	}
}
