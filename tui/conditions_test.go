package tui

import (
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
)

// One key in the explanation of a call puts the proposed condition on it, and
// takes it off; both are edits that are undone.
func TestAcceptCondition(t *testing.T) {
	d, w := openDemo(t)
	w.s.SetArguments([]session.Argument{
		{Group: trace.Main, Call: call("socket"), Values: []uint64{2, 0x80001}, Count: 3, First: time.Second, Last: 9 * time.Second},
		{Group: trace.Main, Call: call("openat"), Values: []uint64{0}, Count: 3, First: time.Second, Last: 9 * time.Second},
	}, true)
	d.tick(2)
	d.keys("a", "/", "s", "o", "c", "k", "e", "t", "enter", "v")
	d.wants("proposed condition: arg0 == 0x2 and arg1 & 0xf == 0x1", "3 calls all had this value", "c conditions it in run")
	d.keys("c")
	standing := func() policy.Policy { sp, _ := w.s.Split(); return w.s.Policy(sp) }
	when := func() string { return policy.ConditionsText(standing().When(policy.Run, call("socket"))) }
	if got := when(); got != "arg0 == 0x2 and arg1 & 0xf == 0x1" {
		t.Fatalf("the condition is %q", got)
	}
	d.tick(2)
	d.wants("only if arg0 == 0x2")
	d.keys("v")
	d.wants("run denies it, and once it is allowed does so only if arg0 == 0x2", "c takes the condition off in run")
	d.keys("c")
	if got := when(); got != "" {
		t.Errorf("taken off, the condition is %q", got)
	}
	d.keys("u")
	if got := when(); got == "" {
		t.Error("undone, there is no condition")
	}
	d.keys("u")
	if got := when(); got != "" {
		t.Errorf("all undone, the condition is %q", got)
	}
	d.whole()
}

// Where no condition is proposed the keys do nothing, and the reason is told.
func TestNoConditionToAccept(t *testing.T) {
	d, w := openDemo(t)
	w.s.SetArguments([]session.Argument{
		{Group: trace.Main, Call: call("openat"), Values: []uint64{0}, Count: 3, First: time.Second, Last: 9 * time.Second},
	}, true)
	d.tick(2)
	before := len(w.s.Edits())
	d.keys("a", "/", "o", "p", "e", "n", "a", "t", "enter", "v", "c", "C")
	d.wants("no condition is proposed: what it may open is in its path")
	if n := len(w.s.Edits()); n != before {
		t.Errorf("%d edits", n)
	}
}
