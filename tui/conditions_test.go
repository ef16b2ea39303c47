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

// A condition is written by hand in the explanation of a call; what is wrong with it is
// told with its column, and nothing is changed.
func TestWriteCondition(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "/", "s", "o", "c", "k", "e", "t", "enter", "v")
	d.wants("e, E write one")
	d.keys("e")
	d.wants("Allow socket in run only if")
	d.keys(letterKeys("arg0 == AF_UNX")...)
	d.keys("enter")
	d.wants(`column 9: "AF_UNX"`)
	d.keys("ctrl+u")
	d.keys(letterKeys("arg0 == AF_UNIX || arg0 == AF_INET6")...)
	d.keys("enter")
	sp, _ := w.s.Split()
	if got := policy.ConditionsText(w.s.Policy(sp).When(policy.Run, call("socket"))); got != "arg0 == 0x1, or arg0 == 0xa" {
		t.Fatalf("the condition is %q", got)
	}
	d.keys("v", "e")
	d.wants("arg0 == 0x1, or arg0 == 0xa")
	d.whole()
}

// What denied calls get is chosen for all and for one, is on screen where it is not the
// default, and is undone.
func TestChooseAnswers(t *testing.T) {
	d, w := openDemo(t)
	standing := func() policy.Spec { sp, _ := w.s.Split(); return w.s.Policy(sp).NarrowSpec() }
	d.keys("a", "2", "!")
	d.wants("What calls get that are not allowed", "EPERM", "ENOSYS")
	d.keys("enter", "ctrl+u")
	d.keys(letterKeys("kil")...)
	d.keys("enter", "enter")
	d.wants(`no action "kil"`)
	d.keys("up", "ctrl+u")
	d.keys(letterKeys("kill process")...)
	d.keys("enter", "enter")
	d.tick(2)
	d.wants("denied: kill process")
	if got := standing().Want(call("reboot")); got != policy.ActKillProcess {
		t.Errorf("reboot gets %s", got)
	}
	d.keys("/", "s", "o", "c", "k", "e", "t", "enter", "v", "!", "enter", "ctrl+u")
	d.keys(letterKeys("EACCES")...)
	d.keys("enter")
	d.tick(2)
	if got := standing().Want(call("socket")).String(); got != "EACCES" {
		t.Errorf("socket gets %s", got)
	}
	d.keys("v")
	d.wants("where run does not allow it, it fails with EACCES")
	d.keys("esc", "u", "u")
	if !standing().Answers.Default() {
		t.Errorf("undone, it is %s", standing().Answers)
	}
	d.whole()
}

// letterKeys are the keys that type a text.
func letterKeys(text string) []string {
	var out []string
	for _, r := range text {
		if r == ' ' {
			out = append(out, "space")
		} else {
			out = append(out, string(r))
		}
	}
	return out
}
