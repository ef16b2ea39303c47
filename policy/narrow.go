package policy

import "fmt"

// Rules returns the rules that answer as s does.
func (s Spec) Rules() (Rules, error) {
	if err := s.check(); err != nil {
		return Rules{}, err
	}
	var rules []Rule
	var abis []ABI
	for _, abi := range possible(Native()) {
		if s.speaks(abi) {
			abis = append(abis, abi)
			rules = append(rules, s.rulesOf(abi)...)
		}
	}
	out, err := NewRules(abis, Outside{Default: s.denied(), Foreign: s.newer(), Newer: s.newer()}, rules)
	if err != nil {
		return Rules{}, err
	}
	out.otherwise = map[Call]Action{}
	for c := range s.Conditional().All() {
		list := s.rulesAbout(c)
		if len(list) > 2*maxRules {
			return Rules{}, fmt.Errorf("%s has more than %d rules", c, 2*maxRules)
		}
		for _, r := range list {
			for _, x := range r.When {
				if err := x.Check(); err != nil {
					return Rules{}, fmt.Errorf("%s: %w", c, err)
				}
			}
		}
		// In their order: the first that holds counts.
		out.rules[c], out.otherwise[c] = list, s.Want(c)
	}
	return out, nil
}

// rulesOf are the rules of an ABI about calls without conditions. They go up to the
// first number from which on all are answered as newer ones.
func (s Spec) rulesOf(abi ABI) (out []Rule) {
	end := abi.firstNew()
	conditional := s.Conditional()
	for _, set := range []Set{s.Allow, s.Notify, conditional} {
		for _, c := range set.Of(abi).calls {
			end = max(end, c.Nr+1)
		}
	}
	for _, x := range s.Single {
		if x.Call.ABI == abi {
			end = max(end, x.Call.Nr+1)
		}
	}
	for nr := range end + 1 {
		c := Call{abi, nr}
		// The last one says where the newer ones begin, whatever its answer.
		if want := s.Want(c); !conditional.Has(c) && (want != s.denied() || nr == end) {
			out = append(out, Rule{Call: c, Action: want})
		}
	}
	return out
}
