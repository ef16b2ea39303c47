package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Rule is the answer to a call when all conditions hold; without any, always.
type Rule struct {
	Call   Call
	Action Action
	When   []Condition
}

// String returns "socket: allow if arg0 == 0x2 and arg1 == 0x1".
func (r Rule) String() string {
	if len(r.When) == 0 {
		return fmt.Sprintf("%s: %s", r.Call, r.Action)
	}
	tests := make([]string, len(r.When))
	for i, c := range r.When {
		tests[i] = c.String()
	}
	return fmt.Sprintf("%s: %s if %s", r.Call, r.Action, strings.Join(tests, " and "))
}

// Rules say what one filter answers to every call and its arguments: any filter
// that a profile of some tool can ask for. Spec is the narrower form that a
// Policy gives. Rules are a value, made by NewRules. The zero Rules kill all.
type Rules struct {
	abis      []ABI
	outside   Outside
	rules     map[Call][]Rule // one without conditions, or some with
	newest    [abis]uint32    // 1 + the largest number that a rule is about
	overruled []Rule
	// otherwise are the answers to single calls when no rule holds, where they are
	// not those to what no rule is about.
	otherwise map[Call]Action
}

// Outside are the answers to what no rule is about.
type Outside struct {
	Default Action // to calls of the ABIs that the rules are for
	Foreign Action // to calls of all other ABIs
	// Newer is the answer to calls with a number above those of all rules of their
	// ABI, 0 for none of its own. runc gives ENOSYS, so that programs fall back. A
	// foreign ABI's are foreign, x32's as well.
	Newer Action
}

// maxRules bounds what a call may have: more than any profile that people write,
// few enough to compare each with each.
const maxRules = 256

// NewRules makes rules for calls of the given ABIs; those about other ABIs are
// left out. Where several are about the same call, it is as in libseccomp: the
// first without conditions holds before all others; without such a one, all hold.
// It is an error when two of those could hold at once and have different actions,
// and when a condition can never hold. A rule with the default action says nothing, and only counts for
// which calls are newer.
func NewRules(of []ABI, outside Outside, rules []Rule) (Rules, error) {
	out := Rules{abis: slices.Clone(of), outside: outside, rules: map[Call][]Rule{}}
	slices.Sort(out.abis)
	out.abis = slices.Compact(out.abis)
	for _, r := range rules {
		if !slices.Contains(out.abis, r.Call.ABI) {
			continue
		}
		if r.Call.ABI >= abis || r.Call.Nr > maxNr {
			return Rules{}, fmt.Errorf("%s: no kernel has that number", r.Call)
		}
		if err := out.add(r); err != nil {
			return Rules{}, err
		}
	}
	return out, nil
}

func (r *Rules) add(n Rule) error {
	r.newest[n.Call.ABI] = max(r.newest[n.Call.ABI], n.Call.Nr+1)
	n.When = slices.Clone(n.When)
	slices.SortFunc(n.When, Condition.order)
	n.When = slices.Compact(n.When)
	if n.Action == r.outside.Default {
		return nil
	}
	for _, c := range n.When {
		if err := c.Check(); err != nil {
			return fmt.Errorf("%s: %w", n.Call, err)
		}
	}
	if _, ok := Witness(n.When); !ok {
		return fmt.Errorf("%s: the conditions can never all hold", n)
	}
	old := r.rules[n.Call]
	switch {
	case len(old) == 1 && len(old[0].When) == 0:
		r.overrule(n, old[0])
		return nil
	case len(n.When) == 0:
		for _, o := range old {
			r.overrule(o, n)
		}
		r.rules[n.Call] = []Rule{n}
		return nil
	case len(old) == maxRules:
		return fmt.Errorf("%s has more than %d rules", n.Call, maxRules)
	}
	for _, o := range old {
		if slices.Equal(o.When, n.When) && o.Action == n.Action {
			return nil
		}
		if o.Action == n.Action {
			continue
		}
		if _, both := Witness(slices.Concat(o.When, n.When)); both {
			return fmt.Errorf("%w: %s, and also %s", errContradict, o, n)
		}
	}
	r.rules[n.Call] = append(old, n)
	return nil
}

// overrule notes a rule that counts for nothing beside another.
func (r *Rules) overrule(void, by Rule) {
	if void.Action != by.Action {
		r.overruled = append(r.overruled, void)
	}
}

// Overruled returns the rules that count for nothing, because another without
// conditions gives all arguments another answer. The slice is the caller's.
func (r Rules) Overruled() []Rule { return slices.Clone(r.overruled) }

// ABIs returns the ABIs that the rules are for. The slice is the caller's.
func (r Rules) ABIs() []ABI { return slices.Clone(r.abis) }

// Outside returns the answers to what no rule is about.
func (r Rules) Outside() Outside { return r.outside }

// Of returns the rules about a call. The slice is the caller's.
func (r Rules) Of(c Call) []Rule { return slices.Clone(r.rules[c]) }

// All returns all rules, by call.
func (r Rules) All() []Rule {
	var out []Rule
	for _, list := range r.rules {
		out = append(out, list...)
	}
	slices.SortFunc(out, func(a, b Rule) int {
		return cmp.Or(a.Call.Compare(b.Call), slices.CompareFunc(a.When, b.When, Condition.order), cmp.Compare(a.Action, b.Action))
	})
	return out
}

// Want returns the answer to a call with these arguments. Of those of 32-bit ABIs
// the lower halves count.
func (r Rules) Want(c Call, args Args) Action {
	args = c.ABI.Seen(args)
	for _, rule := range r.rules[c] {
		if allHold(rule.When, args) {
			return rule.Action
		}
	}
	return r.Otherwise(c)
}

// Otherwise returns the answer to a call when no rule holds.
func (r Rules) Otherwise(c Call) Action {
	if a, ok := r.otherwise[c]; ok {
		return a
	}
	switch {
	case !r.speaks(c.ABI):
		return r.outside.Foreign
	case r.outside.Newer != 0 && c.Nr >= r.newest[c.ABI]:
		return r.outside.Newer
	}
	return r.outside.Default
}

// Allowed returns the calls with a name or a rule that are let through whatever
// their arguments, and those that are so for some arguments only.
func (r Rules) Allowed() (always, sometimes Set) {
	calls := map[Call]bool{}
	for _, a := range r.abis {
		for _, c := range Calls(a) {
			calls[c] = true
		}
	}
	for c := range r.rules {
		calls[c] = true
	}
	var yes, partly []Call
	for c := range calls {
		switch allows, denies := r.Answers(c); {
		case allows && denies:
			partly = append(partly, c)
		case allows:
			yes = append(yes, c)
		}
	}
	return NewSet(yes...), NewSet(partly...)
}

// Answers reports whether a call may be let through and whether it may be denied:
// both, where its arguments decide. Rules that together leave no argument out are
// not seen to do so.
func (r Rules) Answers(c Call) (allows, denies bool) {
	answers := []Action{}
	covered := false
	for _, rule := range r.rules[c] {
		answers = append(answers, rule.Action)
		covered = covered || len(rule.When) == 0
	}
	if !covered {
		answers = append(answers, r.Otherwise(c))
	}
	for _, a := range answers {
		allows, denies = allows || a.Allows(), denies || !a.Allows()
	}
	return allows, denies
}

// speaks reports whether the rules are for an ABI.
func (r Rules) speaks(a ABI) bool { return slices.Contains(r.abis, a) }
