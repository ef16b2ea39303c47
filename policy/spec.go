package policy

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Spec says what one filter answers to every call: Allow and Notify are let
// through and handed to a supervisor; all else fails. A call that is in both is
// allowed.
//
// What fails, fails with Errno (0: EPERM), except what a program is sure to try
// and to do without when told that the kernel is too old for it: calls newer
// than Linux 5.0 (clone3, faccessat2, …) and every call of an ABI of which
// nothing is let through fail with ENOSYS.
type Spec struct {
	Allow, Notify Set
	Errno         uint16
	// When are answers under conditions: the first of those about a call whose
	// conditions hold counts, before what Allow and Notify say.
	When []Rule `json:",omitempty"`
}

// firstNew is the lowest number of the calls that came after Linux 5.0: from
// 424 on all ABIs count alike, and i386 got 393 to 423 at the same time.
func (a ABI) firstNew() uint32 {
	if a == I386 {
		return 393
	}
	return 424
}

// Answer returns what the filter of s answers to c with these arguments. Of those
// of 32-bit ABIs the lower halves count. It is the oracle that tests and proofs
// hold compiled and loaded filters against.
func (s Spec) Answer(c Call, args Args) Action {
	args = c.ABI.Seen(args)
	for _, r := range s.When {
		if r.Call == c && allHold(r.When, args) {
			return r.Action
		}
	}
	return s.Want(c)
}

// Edges returns the arguments at which the answer to c could change; none when it
// does not look at arguments.
func (s Spec) Edges(c Call) []Args {
	if rules := s.rulesAbout(c); len(rules) > 0 {
		return Edges(rules)
	}
	return nil
}

// Conditional returns the calls to which the answer depends on their arguments.
func (s Spec) Conditional() Set {
	calls := make([]Call, len(s.When))
	for i, r := range s.When {
		calls[i] = r.Call
	}
	return NewSet(calls...)
}

func (s Spec) rulesAbout(c Call) []Rule {
	var out []Rule
	for _, r := range s.When {
		if r.Call == c {
			out = append(out, r)
		}
	}
	return out
}

// Want returns what the filter of s answers to c when none of the conditions on
// it holds, or there are none.
func (s Spec) Want(c Call) Action {
	switch {
	case s.Allow.Has(c):
		return ActAllow
	case s.Notify.Has(c):
		return ActNotify
	case c.Nr >= c.ABI.firstNew(), !s.speaks(c.ABI):
		return RefuseWith(unix.ENOSYS)
	}
	return s.denial()
}

// denial is the answer to a call that is neither allowed nor new.
func (s Spec) denial() Action {
	if s.Errno == 0 {
		return RefuseWith(unix.EPERM)
	}
	return RefuseWith(unix.Errno(s.Errno))
}

// speaks reports whether any call of the ABI is let through. The native one
// always counts.
func (s Spec) speaks(a ABI) bool {
	return a == Native() || s.Allow.Of(a).Len() > 0 || s.Notify.Of(a).Len() > 0 ||
		slices.ContainsFunc(s.When, func(r Rule) bool { return r.Call.ABI == a })
}
