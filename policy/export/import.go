package export

import (
	"fmt"
	"slices"

	"speaker/policy"
)

// Conditions returns edits that put the conditions which rules have on calls onto those
// that a policy's filter of that phase, Boot or Run, allows: of the calls in only, or
// of all if there are none. note says where they come from. The sentences name the calls
// whose conditions an edit cannot say.
//
// Conditions narrow and open nothing: what rules allow and deny as a whole is not taken.
func Conditions(r policy.Rules, p policy.Policy, ph policy.Phase, only []policy.Call, note string) (edits []policy.Edit, notes []string) {
	set := p.Wide()
	if ph == policy.Run {
		set = p.Narrow()
	}
	var left []string
	for _, c := range set.Calls() {
		if allows, denies := r.Answers(c); !allows || !denies || len(only) > 0 && !slices.Contains(only, c) {
			continue
		}
		e := policy.Edit{Op: policy.OpCondition, Call: c, Phase: ph, When: passing(r, c), From: policy.OriginImported, Note: note}
		if e.Check() != nil {
			left = append(left, c.String())
			continue
		}
		edits = append(edits, e)
	}
	if len(left) > 0 {
		notes = append(notes, fmt.Sprintf("left out, for there are more than %d alternatives or none that can hold: %s", policy.MaxAlternatives, few(left)))
	}
	return edits, notes
}

// passing are the conditions under which rules let a call through.
func passing(r policy.Rules, c policy.Call) (when [][]policy.Condition) {
	rules := r.Of(c)
	for _, rule := range rules {
		if rule.Action.Allows() {
			when = append(when, rule.When)
		}
	}
	if r.Otherwise(c).Allows() {
		when = append(when, policy.Complement(rules)...)
	}
	return when
}
