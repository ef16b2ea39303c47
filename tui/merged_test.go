package tui

import (
	"testing"

	"speaker/session"
	"speaker/trace"
	"speaker/tui/bench"
)

// A merged session opens like any other; in how many recordings a call was seen
// stands with it, and which those are in its explanation.
func TestMergedSession(t *testing.T) {
	a, b := fixedSession(), session.New(session.Meta{Host: "b\x1b[2Jox", Base: 9, StartSeen: true})
	err := b.AddEpoch(session.Epoch{End: 10, Rows: []session.Row{{Group: trace.Main, Call: call("accept4"), Count: 1, First: 5, Last: 5}}})
	if err != nil {
		t.Fatal(err)
	}
	b.AddSplit(session.Split{At: 2, How: "by hand", By: "user"})
	if _, ok := a.Split(); !ok {
		sp, _ := a.Propose(a.Length())
		a.AddSplit(sp)
	}
	w := newFakeWork(bench.Item{Name: "all", Engine: "merged"})
	if w.s, _, err = session.Merge("test", session.Input{Name: "a", Session: a}, session.Input{Name: "b", Session: b}); err != nil {
		t.Fatal(err)
	}
	w.st.Mode, w.st.Ended = bench.File, true
	d := drive(t, newFakeBackend(), Options{Work: w})
	d.tick(2)
	d.wants("each of 2 recordings at its own split; times count from it")
	d.keys("2", "/", "a", "c", "c", "e", "p", "t", "enter")
	d.wants("boot 1/1 run 2/2")
	d.keys("v")
	d.wants("in boot: ", "; in 1 of 1 runs", "by recording:", `b\x1b[2Jox`)
	for _, size := range goldenSizes {
		d.size(size.w, size.h)
		d.whole()
	}
	d.keys("esc")
	for _, k := range []string{"1", "2", "3", "4", "5", "t", "h", "l", "[", "]", "{", "}", "+", "-", "a"} {
		d.keys(k)
		d.whole()
	}
}
