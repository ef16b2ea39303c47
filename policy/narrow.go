package policy

import "golang.org/x/sys/unix"

// Rules returns the rules that answer as s does, but that the calls which the given
// ones are about are let through under their conditions alone: what s allows and
// no given rule holds for fails as all else does. Rules about calls that s does not
// let through count for nothing.
func (s Spec) Rules(when ...Rule) (Rules, error) {
	if err := s.check(); err != nil {
		return Rules{}, err
	}
	conditional := map[Call]bool{}
	var rules []Rule
	for _, r := range when {
		if s.Allow.Has(r.Call) || s.Notify.Has(r.Call) {
			conditional[r.Call] = true
			rules = append(rules, r)
		}
	}
	var abis []ABI
	for _, abi := range possible(Native()) {
		if s.speaks(abi) {
			abis = append(abis, abi)
			rules = append(rules, s.rulesOf(abi, conditional)...)
		}
	}
	enosys := RefuseWith(unix.ENOSYS)
	return NewRules(abis, Outside{Default: s.denial(), Foreign: enosys, Newer: enosys}, rules)
}

// rulesOf are the rules of an ABI about calls without conditions. They go up to the
// first number from which on all are answered as newer ones.
func (s Spec) rulesOf(abi ABI, conditional map[Call]bool) (out []Rule) {
	end := abi.firstNew()
	for _, set := range []Set{s.Allow, s.Notify} {
		for _, c := range set.Of(abi).calls {
			end = max(end, c.Nr+1)
		}
	}
	for nr := range end + 1 {
		c := Call{abi, nr}
		// The last one says where the newer ones begin, whatever its answer.
		if want := s.Want(c); !conditional[c] && (want != s.denial() || nr == end) {
			out = append(out, Rule{Call: c, Action: want})
		}
	}
	return out
}
