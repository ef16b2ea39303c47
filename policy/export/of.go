package export

import (
	"fmt"
	"slices"

	"speaker/policy"
)

// Of returns the profile of a policy: what the options pick is allowed, calls that
// a program should think the kernel lacks fail with ENOSYS, all else with EPERM.
// Names that are too new for an engine's libseccomp are ignored there: such calls
// stay denied.
func Of(p policy.Policy, o Options) (Profile, error) {
	set, err := allowed(p, o)
	if err != nil {
		return Profile{}, err
	}
	out := ofSet(set)
	for c := range set.All() {
		if why := reasons(p, c, o.Runtime && RuntimeCalls().Has(c)); why != "" {
			if out.notes == nil {
				out.notes = map[string]string{}
			}
			out.notes[c.String()], out.notes[abiName(c)] = why, why
		}
	}
	return out, nil
}

// ofSet returns the profile that allows a set.
func ofSet(set policy.Set) Profile {
	out := Profile{Default: policy.ActErrno | 1, Newer: enosys, Arches: []string{string(architectures[policy.Native()])}}
	var names []string
	alone := set.Of(policy.Native()).Len() == set.Len()
	for c := range set.All() {
		if name := c.String(); alone {
			names = append(names, name)
		} else { // so that a name is about no other ABI
			names = append(names, abiName(c))
		}
	}
	slices.Sort(names)
	out.Rules = []Rule{{Names: names, Action: policy.ActAllow}}
	for _, abi := range []policy.ABI{policy.X86_64, policy.I386, policy.X32, policy.ARM64} {
		if abi != policy.Native() && set.Of(abi).Len() > 0 {
			out.Arches = append(out.Arches, string(architectures[abi]))
		}
	}
	if names := tooNew(set); len(names) > 0 {
		out.Rules = append(out.Rules, Rule{Names: names, Action: enosys})
	}
	return out
}

// tooNew returns the names of the calls that a program should think the kernel
// does not have.
func tooNew(set policy.Set) []string {
	permitted := sortedNames(set)
	spec := policy.Spec{Allow: set}
	var out []string
	for _, c := range policy.Calls(policy.Native()) {
		if spec.Want(c).Errno() != enosys.Errno() {
			continue
		}
		if _, ok := slices.BinarySearch(permitted, c.Name()); !ok {
			out = append(out, c.Name())
		}
	}
	slices.Sort(out)
	return out
}

// OfRules returns the profile that says what rules say, each rule about one call.
func OfRules(r policy.Rules) Profile {
	out := Profile{Default: r.Outside().Default, Newer: r.Outside().Newer}
	for _, abi := range r.ABIs() {
		out.Arches = append(out.Arches, string(architectures[abi]))
	}
	for _, rule := range r.All() {
		out.Rules = append(out.Rules, Rule{Names: []string{abiName(rule.Call)}, Action: rule.Action, When: rule.When})
	}
	return out
}

// abiName names a call with its ABI, even the native one, so that it is about no
// other.
func abiName(c policy.Call) string { return fmt.Sprintf("%s:%s", c.ABI, c.Name()) }
