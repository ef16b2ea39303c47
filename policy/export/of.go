package export

import (
	"fmt"
	"slices"

	"speaker/policy"
)

// Of returns the profile of a policy: what the options pick is allowed, all else gets
// what the policy answers, which unless it was chosen is ENOSYS for calls that a program
// should think the kernel lacks, and EPERM.
// Names that are too new for an engine's libseccomp are ignored there: such calls
// stay denied. Conditions on calls that container runtimes make are left out with
// Options.Runtime.
func Of(p policy.Policy, o Options) (Profile, error) {
	set, err := allowed(p, o)
	if err != nil {
		return Profile{}, err
	}
	when, _ := conditions(p, o)
	out := ofSet(set, when, answers(p, o.Phase, when))
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

// conditions returns the rules under which the options' filter allows calls, and
// the calls that have conditions and are allowed without.
func conditions(p policy.Policy, o Options) (when []policy.Rule, without policy.Set) {
	spec := p.WideSpec()
	if o.Phase == policy.Run {
		spec = p.NarrowSpec()
	}
	if o.Runtime {
		var calls []policy.Call
		for c := range spec.Conditional().Intersect(RuntimeCalls()).All() {
			if !startsUnder(spec, c) {
				calls = append(calls, c)
			}
		}
		without = policy.NewSet(calls...)
	}
	for _, r := range spec.When {
		if !without.Has(r.Call) {
			when = append(when, r)
		}
	}
	return when, without
}

// SpecOf returns the filter of the profile that a policy's phase, Boot or Run, is
// exported as with Options.Runtime.
func SpecOf(p policy.Policy, ph policy.Phase) policy.Spec {
	set := p.Wide()
	if ph == policy.Run {
		set = p.Narrow()
	}
	when, _ := conditions(p, Options{Phase: ph, Runtime: true})
	s := policy.Spec{When: when, Answers: answers(p, ph, when)}
	s.Allow = set.Union(RuntimeCalls()).Minus(s.Conditional())
	return s
}

// answers returns what calls get that the filter does not let through. Engines have no
// place for an answer of its own to a call that has conditions.
func answers(p policy.Policy, ph policy.Phase, when []policy.Rule) policy.Answers {
	a := p.Answers(ph).Filled()
	conditional := policy.Spec{When: when}.Conditional()
	a.Single = slices.DeleteFunc(slices.Clone(a.Single), func(x policy.Answer) bool { return conditional.Has(x.Call) })
	return a
}

// runtimeArgs are the arguments with which container runtimes make calls that
// conditions are commonly about: threads of Go and of C, and memory without code.
var runtimeArgs = map[string][]policy.Args{
	"clone":    {{0x50f00}, {0x3d0f00}},
	"mmap":     {{2: 0}, {2: 1}, {2: 3}},
	"mprotect": {{2: 0}, {2: 1}, {2: 3}},
}

// startsUnder reports whether runtimes get by with a call under its conditions.
func startsUnder(s policy.Spec, c policy.Call) bool {
	list := runtimeArgs[c.Name()]
	return len(list) > 0 && !slices.ContainsFunc(list, func(a policy.Args) bool { return !s.Answer(c, a).Allows() })
}

// ofSet returns the profile that allows a set, those calls that rules are about
// under their conditions alone.
func ofSet(set policy.Set, when []policy.Rule, a policy.Answers) Profile {
	conditional := policy.Spec{When: when}.Conditional()
	out := Profile{Default: a.Denied, Newer: a.Newer, Arches: []string{string(architectures[policy.Native()])}}
	var names []string
	alone := set.Of(policy.Native()).Len() == set.Len()
	nameOf := func(c policy.Call) string {
		if alone {
			return c.String()
		}
		return abiName(c) // so that a name is about no other ABI
	}
	for c := range set.Minus(conditional).All() {
		names = append(names, nameOf(c))
	}
	slices.Sort(names)
	out.Rules = []Rule{{Names: names, Action: policy.ActAllow}}
	for _, r := range when {
		out.Rules = append(out.Rules, Rule{Names: []string{nameOf(r.Call)}, Action: r.Action, When: r.When})
	}
	for _, abi := range []policy.ABI{policy.X86_64, policy.I386, policy.X32, policy.ARM64} {
		if abi != policy.Native() && set.Of(abi).Len() > 0 {
			out.Arches = append(out.Arches, string(architectures[abi]))
		}
	}
	var single []policy.Call
	for _, x := range a.Single {
		if single = append(single, x.Call); !set.Has(x.Call) && x.Action != a.Denied {
			out.Rules = append(out.Rules, Rule{Names: []string{nameOf(x.Call)}, Action: x.Action})
		}
	}
	if names := tooNew(set.With(single...)); len(names) > 0 && a.Newer != a.Denied {
		out.Rules = append(out.Rules, Rule{Names: names, Action: a.Newer})
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
