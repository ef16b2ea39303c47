package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// Answers are what a filter gives to calls that it does not let through. The zero
// value is what container engines give: EPERM, and ENOSYS to what is new.
type Answers struct {
	// Denied is the answer to calls that are neither let through nor new; 0: EPERM.
	Denied Action `json:",omitempty"`
	// Newer is the answer to calls that a program is sure to try, and to do without
	// when told that the kernel is too old for it; 0: ENOSYS. These are calls newer
	// than Linux 5.0 (clone3, faccessat2, …) and every call of an ABI of which
	// nothing is let through.
	Newer Action `json:",omitempty"`
	// Single are the answers to single calls, in place of both: one for each call.
	Single []Answer `json:",omitempty"`
}

// Answer is what one call gets where it is not let through.
type Answer struct {
	Call   Call
	Action Action
}

// denied is Denied as the kernel gets it, and newer is Newer.
func (a Answers) denied() Action { return cmp.Or(a.Denied, RefuseWith(unix.EPERM)) }
func (a Answers) newer() Action  { return cmp.Or(a.Newer, RefuseWith(unix.ENOSYS)) }

// Filled returns the answers as the kernel gets them, without zeros.
func (a Answers) Filled() Answers { return Answers{a.denied(), a.newer(), a.Single} }

// Default reports whether these are the answers of the zero value.
func (a Answers) Default() bool {
	return a.denied() == RefuseWith(unix.EPERM) && a.newer() == RefuseWith(unix.ENOSYS) && len(a.Single) == 0
}

// String words what is not as engines have it: "kill process, newer EPERM,
// 2 calls otherwise"; "" for the default.
func (a Answers) String() string {
	out := ""
	add := func(format string, args ...any) {
		if out != "" {
			out += ", "
		}
		out += fmt.Sprintf(format, args...)
	}
	if x := a.denied(); x != RefuseWith(unix.EPERM) {
		add("%s", x)
	}
	if x := a.newer(); x != RefuseWith(unix.ENOSYS) {
		add("newer %s", x)
	}
	switch n := len(a.Single); n {
	case 0:
	case 1:
		add("1 call otherwise")
	default:
		add("%d calls otherwise", n)
	}
	return out
}

// single returns the answer that is a call's alone.
func (a Answers) single(c Call) (Action, bool) {
	for _, x := range a.Single {
		if x.Call == c {
			return x.Action, true
		}
	}
	return 0, false
}

// check finds answers that a filter cannot give, or that would open it.
func (a Answers) check() error {
	if a.Denied == ActNotify && a.Newer == ActNotify && len(a.Single) == 0 {
		return nil // see RunningSpec
	}
	err := errors.Join(CheckAnswer(a.denied()), CheckAnswer(a.newer()))
	for _, x := range a.Single {
		if one := CheckAnswer(x.Action); one != nil && err == nil {
			err = fmt.Errorf("%s: %w", x.Call, one)
		}
	}
	return err
}

// CheckAnswer returns an error when an action is none that a call can get for not
// being let through: those are errors from 1 to 4095, ActKillProcess, ActTrap and
// ActLog. A thread alone that is killed leaves a process that hangs.
func CheckAnswer(a Action) error {
	switch {
	case a == ActKillProcess, a == ActTrap, a == ActLog:
		return nil
	case a.Kind() == ActErrno && a.Data() >= 1 && a.Data() <= maxErrno:
		return nil
	case a.Kind() == ActErrno:
		return fmt.Errorf("error number %d: there are 1 to %d", a.Data(), maxErrno)
	}
	return fmt.Errorf("a call that is not let through cannot get %q: say an error like EPERM, kill process, trap or log", a)
}

// answering are what the edits make of the answers of one filter; 0 for what they do
// not speak of.
type answering struct {
	denied, newer Action
	single        map[Call]Action
}

// answer takes in an edit about answers. The action 0 takes back what was said before.
func (d *draft) answer(e Edit) {
	a := d.answers[e.Phase]
	if a == nil {
		a = &answering{single: map[Call]Action{}}
		d.answers[e.Phase] = a
	}
	switch e.Op {
	case OpDenied:
		a.denied = e.Action
	case OpNewer:
		a.newer = e.Action
	case OpAnswer:
		d.entry(e.Call).Edited = true
		if a.single[e.Call] = e.Action; e.Action == 0 {
			delete(a.single, e.Call)
		}
	}
}

// answersOf are the answers of the filter of a phase. What is said of the wide one
// holds in the narrow one too, unless something is said of that.
func (d *draft) answersOf(ph Phase) Answers {
	var all answering
	single := map[Call]Action{}
	for _, x := range []Phase{Boot, Run} {
		if a := d.answers[x]; a != nil && x <= ph {
			all.denied, all.newer = cmp.Or(a.denied, all.denied), cmp.Or(a.newer, all.newer)
			maps.Copy(single, a.single)
		}
	}
	out := Answers{Denied: all.denied, Newer: all.newer}
	for _, c := range slices.SortedFunc(maps.Keys(single), Call.Compare) {
		out.Single = append(out.Single, Answer{c, single[c]})
	}
	return out
}

// Answers returns what the wide filter (Boot) or the narrow one (Run) gives to calls
// that it does not let through. The slice in it is shared: read only.
func (p Policy) Answers(ph Phase) Answers {
	if ph == Boot {
		return p.answers[0]
	}
	return p.answers[1]
}

// WithAnswers returns the policy with these answers in both filters. It is for
// filters that are in place already, where no edit tells of them.
func (p Policy) WithAnswers(a Answers) Policy {
	p.answers = [2]Answers{a, a}
	return p
}
