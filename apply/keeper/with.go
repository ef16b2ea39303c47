package keeper

import "speaker/policy"

// maxValues is how many values of one call a program is asked about one by one. A
// program may call with ever new ones.
const maxValues = 8

// valuesOf are the arguments for which a notified call is refused that run allows with
// others; none for a call that run never allows.
func (h *hold) valuesOf(c policy.Call, args [6]uint64) []policy.Condition {
	if len(h.looks) == 0 {
		return nil
	}
	return c.Values(h.looks[c], args)
}

// withText tells values apart.
func withText(when []policy.Condition) string {
	if len(when) == 0 {
		return ""
	}
	return policy.ConditionsText([][]policy.Condition{when})
}

// apart reports whether one more value of a call is asked about by itself. Locked by
// the caller.
func (h *hold) apart(c policy.Call, image string) bool {
	n := 0
	for k := range h.questions {
		if k.call == c && k.image == image {
			n++
		}
	}
	return n < maxValues
}

// What names what was called, with the arguments where it is refused for these.
func (c CallCount) What() string { return c.Call.With(c.When) }

// What names what is asked, with the arguments where it is refused for these.
func (q Question) What() string { return q.Call.With(q.When) }
