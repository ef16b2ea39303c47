package policy

import "slices"

// Spec says what one filter answers to every call: Allow and Notify are let
// through and handed to a supervisor; all else gets what Answers say, without them
// EPERM or ENOSYS. A call that is in both is allowed.
type Spec struct {
	Allow, Notify Set
	Answers
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
	single, ok := s.single(c)
	switch {
	case s.Allow.Has(c):
		return ActAllow
	case s.Notify.Has(c):
		return ActNotify
	case !s.speaks(c.ABI):
		return s.newer()
	case ok:
		return single
	case c.Nr >= c.ABI.firstNew():
		return s.newer()
	}
	return s.denied()
}

// speaks reports whether any call of the ABI is let through. The native one
// always counts.
func (s Spec) speaks(a ABI) bool {
	return a == Native() || s.Allow.Of(a).Len() > 0 || s.Notify.Of(a).Len() > 0 ||
		slices.ContainsFunc(s.When, func(r Rule) bool { return r.Call.ABI == a })
}
