package tui

import (
	"slices"
	"testing"
	"time"

	"speaker/session"
	"speaker/trace"
)

// The explanation of a call tells its arguments and who makes it.
func TestWhyTellsArgumentsAndCallers(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "/", "s", "o", "c", "k", "e", "t", "enter", "v")
	d.wants("w counts per process")
	d.keys("esc", "w")
	if !slices.Contains(w.log(), "processes true") {
		t.Errorf("did %v", w.log())
	}
	w.s.SetArguments([]session.Argument{
		{Group: trace.Main, Call: call("socket"), Values: []uint64{2, 0x80001}, Count: 3, First: time.Second, Last: 9 * time.Second},
		{Group: trace.Main, Call: call("socket"), Values: []uint64{1, 1}, Count: 1, First: time.Second, Last: time.Second},
	}, true)
	w.s.SetProcesses([]session.ProcessUse{{Process: session.Process{Pid: 4242, Comm: "de\x1b[2Jmo", Exe: "/bin/\x07demo"},
		Group: trace.Main, Call: call("socket"), Count: 4, First: time.Second, Last: 9 * time.Second}})
	d.tick(2)
	d.keys("v")
	d.wants("with these arguments:", "0x2 0x80001", "3 times, last at 9.000s (run)", "0x1 0x1", "1 time, last at 1.000s",
		"by these processes:", "pid 4242", "4 times")
	d.whole()
}
