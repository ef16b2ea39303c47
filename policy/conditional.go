package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds on the conditions of one call in one filter: as many as Docker's default profile
// has, and few enough to compile those of both filters together.
const (
	MaxAlternatives = 32
	MaxTests        = 8 // of one alternative
)

// Conditional says under which conditions a call is allowed. It narrows what is
// allowed, and opens nothing.
type Conditional struct {
	// Phase is Boot for the wide filter, and so for the narrow one too, or Run for
	// the narrow one.
	Phase  Phase
	When   [][]Condition // one of these has to hold, all of it
	Origin Origin        // OriginObserved: made of recorded values; OriginHand; OriginImported
	Note   string
}

// String returns "arg0 == 0x2 and arg1 & 0xf == 0x1, or arg0 == 0x1".
func (c Conditional) String() string { return ConditionsText(c.When) }

// ConditionsText words alternatives of conditions.
func ConditionsText(when [][]Condition) string {
	out := make([]string, len(when))
	for i, all := range when {
		tests := make([]string, len(all))
		for j, c := range all {
			tests[j] = c.String()
		}
		out[i] = strings.Join(tests, " and ")
	}
	return strings.Join(out, ", or ")
}

// MarshalText writes what String returns.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote. Any input is safe.
func (c *Condition) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCondition(string(text))
	return err
}

// Conditions returns the alternatives of a proposal, as an edit takes them.
func (p Proposal) Conditions() [][]Condition {
	var out [][]Condition
	for _, r := range p.Rules {
		out = append(out, r.When)
	}
	return out
}

// checkConditions returns an error when no filter can have these for a call, or
// when one of the alternatives never holds.
func checkConditions(c Call, when [][]Condition) error {
	if len(when) == 0 {
		return errors.New("no condition is given")
	}
	if len(when) > MaxAlternatives {
		return fmt.Errorf("%d alternatives are more than %d", len(when), MaxAlternatives)
	}
	for _, all := range when {
		if len(all) == 0 || len(all) > MaxTests {
			return fmt.Errorf("%d tests in one alternative: there are 1 to %d", len(all), MaxTests)
		}
		for _, x := range all {
			if err := x.Check(); err != nil {
				return err
			}
		}
		if w, ok := Witness(all); !ok || !allHold(all, c.ABI.Seen(w)) {
			return fmt.Errorf("%s never holds for %s", ConditionsText([][]Condition{all}), c)
		}
	}
	return nil
}

// gate are the conditions under which each filter allows a call: nil for none. A
// list that is empty, and not nil, never holds.
type gate struct{ wide, narrow [][]Condition }

// gateOf puts the conditions of both filters together: what does not pass the
// wide one does not pass the narrow one.
func gateOf(list []Conditional) gate {
	var g gate
	for _, c := range list {
		if c.Phase == Boot {
			g.wide, g.narrow = c.When, c.When
			continue
		}
		if g.narrow == nil {
			g.narrow = c.When
			continue
		}
		g.narrow = bothHold(g.wide, c.When)
	}
	return g
}

// bothHold returns the alternatives under which one of a and one of b holds.
func bothHold(a, b [][]Condition) [][]Condition {
	out := [][]Condition{}
	for _, x := range a {
		for _, y := range b {
			all := slices.Concat(x, y)
			slices.SortFunc(all, Condition.order)
			all = slices.Compact(all)
			same := func(have []Condition) bool { return slices.Equal(have, all) }
			if _, ok := Witness(all); ok && !slices.ContainsFunc(out, same) {
				out = append(out, all)
			}
		}
	}
	return out
}

// of returns the conditions of the filter that a phase is held against.
func (g gate) of(ph Phase) [][]Condition {
	if ph == Boot {
		return g.wide
	}
	return g.narrow
}

// When returns the alternatives of conditions under which the wide filter (Boot)
// or the narrow one (Run) allows a call, conditions of both put together. nil:
// there are none. They say nothing of whether the filter allows the call at all.
// The slices are shared: read only.
func (p Policy) When(ph Phase, c Call) [][]Condition { return p.gates[c].of(ph) }

// Conditional returns the calls that the wide filter (Boot) or the narrow one
// (Run) allows under conditions.
func (p Policy) Conditional(ph Phase) Set {
	set := p.narrow
	if ph == Boot {
		set = p.wide
	}
	return set.filter(func(c Call) bool { return p.gates[c].of(ph) != nil })
}

// spec is the filter that allows a set, each call under its conditions.
func (p Policy) spec(ph Phase, set Set) Spec {
	conditional := p.Conditional(ph)
	s := Spec{Allow: set.Minus(conditional), Answers: p.Answers(ph)}
	for c := range conditional.All() {
		for _, all := range p.gates[c].of(ph) {
			s.When = append(s.When, Rule{Call: c, Action: ActAllow, When: all})
		}
	}
	return s
}

// WithConditions returns the policy whose narrow filter has the conditions of
// these rules, all of which allow. It is for filters that are in place already,
// where no edit tells of them.
func (p Policy) WithConditions(rules []Rule) Policy {
	by := map[Call][][]Condition{}
	for _, r := range rules {
		by[r.Call] = append(by[r.Call], r.When)
	}
	p.gates, p.entries = maps.Clone(p.gates), slices.Clone(p.entries)
	for i, e := range p.entries {
		if when := by[e.Call]; when != nil {
			p.gates[e.Call] = gate{narrow: when}
			p.entries[i].Conditions = []Conditional{{Phase: Run, When: when, Origin: OriginHand}}
		}
	}
	return p
}

// Recorded returns the policy with the argument values that a recording counted
// in each phase, for Warnings to hold the conditions against.
func (p Policy) Recorded(values map[Phase][]Seen) Policy {
	p.values = values
	return p
}

// Refuses reports whether the conditions on a call refuse values that were
// recorded in a phase. Conditions on arguments that are not recorded are taken to
// hold.
func (p Policy) Refuses(ph Phase, s Seen) bool {
	when := p.gates[s.Call].of(ph)
	if when == nil {
		return false
	}
	args, known := s.args()
	return !slices.ContainsFunc(when, func(all []Condition) bool {
		return !slices.ContainsFunc(all, func(c Condition) bool { return known[c.Arg] && !c.Holds(args) })
	})
}

// Judged reports whether recordings have all that the conditions on a call look
// at, in the filter that a phase is held against.
func (p Policy) Judged(ph Phase, c Call) bool {
	recorded := decidings[c.Name()].args
	for _, all := range p.gates[c].of(ph) {
		for _, x := range all {
			if !slices.Contains(recorded, x.Arg) {
				return false
			}
		}
	}
	return true
}

// String words the values: "socket(0x2, 0x1)".
func (s Seen) String() string {
	words := make([]string, len(s.Values))
	for i, v := range s.Values {
		words[i] = fmt.Sprintf("%#x", v)
	}
	return fmt.Sprintf("%s(%s)", s.Call, strings.Join(words, ", "))
}
