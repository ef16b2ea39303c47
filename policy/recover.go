package policy

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Recovered is what a stack of filters answers to one call.
type Recovered struct {
	// Rules are the answers that hold under conditions, Otherwise that to all other
	// arguments.
	Rules     []Rule
	Otherwise Action
	// Unclear is set when the filters look at arguments in a way that is not found
	// out: Otherwise is then their answer to arguments that are all 0, or to one
	// more kind of them.
	Unclear bool
}

// Recover finds out what a stack of filters, oldest first, answers to a call and
// which arguments it depends on. What it returns was held against the filters at
// every edge of the conditions that it found. An error means that the kernel would
// not have loaded the filters.
func Recover(chain [][]unix.SockFilter, c Call) (Recovered, error) {
	zero, err := EvalAll(chain, DataOf(c))
	if err != nil {
		return Recovered{}, err
	}
	paths := []path{newPath()}
	paths[0].answer = ActAllow
	for _, f := range chain {
		next, err := walk(f, c)
		if err != nil {
			return Recovered{Otherwise: zero, Unclear: true}, nil
		}
		if paths = combine(paths, next); paths == nil {
			return Recovered{Otherwise: zero, Unclear: true}, nil
		}
	}
	out := rulesOf(paths, c)
	if out.Unclear || !out.check(chain, c) {
		return Recovered{Otherwise: zero, Unclear: true}, nil
	}
	return out, nil
}

// check holds what was recovered against the filters.
func (r Recovered) check(chain [][]unix.SockFilter, c Call) bool {
	for _, args := range Edges(r.Rules) {
		d := DataOf(c)
		d.Args = args
		got, err := EvalAll(chain, d)
		if err != nil || got != r.want(c, args) {
			return false
		}
	}
	return true
}

func (r Recovered) want(c Call, args Args) Action {
	for _, rule := range r.Rules {
		if allHold(rule.When, c.ABI.Seen(args)) {
			return rule.Action
		}
	}
	return r.Otherwise
}

// rulesOf words ways as rules: those of all answers but one, which is that of all
// other arguments.
func rulesOf(paths []path, c Call) Recovered {
	by := map[Action][]path{}
	for _, p := range paths {
		by[p.answer] = append(by[p.answer], p)
	}
	if len(by) == 1 {
		return Recovered{Otherwise: paths[0].answer}
	}
	said := map[Action][]Rule{} // answers whose ways can all be said
	var unsaid []Action
	for a, list := range by {
		if rules, ok := conditionsOf(list, c, a); ok {
			said[a] = rules
		} else {
			unsaid = append(unsaid, a)
		}
	}
	if len(unsaid) > 1 {
		return Recovered{Unclear: true}
	}
	var out Recovered
	if len(unsaid) == 1 {
		out.Otherwise = unsaid[0]
	} else {
		out.Otherwise = fallbackOf(said)
	}
	for a, rules := range said {
		if a != out.Otherwise {
			out.Rules = append(out.Rules, rules...)
		}
	}
	slices.SortFunc(out.Rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), slices.CompareFunc(a.When, b.When, Condition.order))
	})
	return out
}

// fallbackOf picks the answer that takes the most words, of equal ones the
// strictest.
func fallbackOf(said map[Action][]Rule) Action {
	var best Action
	most := -1
	for a, rules := range said {
		n := 0
		for _, r := range rules {
			n += 1 + len(r.When)
		}
		if n > most || n == most && a.stricter(best) {
			best, most = a, n
		}
	}
	return best
}

// conditionsOf words the ways to one answer. ok is false when some cannot be said
// in conditions.
func conditionsOf(paths []path, c Call, a Action) (rules []Rule, ok bool) {
	var areas []area
	for _, p := range paths {
		more, ok := p.areas(c.ABI)
		if !ok || len(areas)+len(more) > maxAreas {
			return nil, false
		}
		areas = append(areas, more...)
	}
	for _, x := range merge(areas) {
		rules = append(rules, Rule{Call: c, Action: a, When: x.conditions()})
	}
	return rules, true
}

// String words it: "allow if arg0 == 0x2; else EPERM".
func (r Recovered) String() string {
	if r.Unclear {
		return fmt.Sprintf("%s, and more that %s", r.Otherwise, errUnclear)
	}
	out := ""
	for _, rule := range r.Rules {
		for i, c := range rule.When {
			out += []string{rule.Action.String() + " if ", " and "}[min(i, 1)] + c.String()
		}
		out += "; "
	}
	if out == "" {
		return r.Otherwise.String()
	}
	return out + "else " + r.Otherwise.String()
}
