// Package export writes policies in the forms that other tools take: seccomp
// profiles for container engines, drop-ins for systemd, and plain lists for people
// and for diff. It reads such forms, too.
//
// Read gives a Profile of whatever a file holds, and WriteProfile writes one in another
// form. A profile speaks in names, and some in capabilities and kernels: Resolve says
// what its filter would answer on a Host, as policy.Rules, which compile and are proved
// as policies are. Write takes a policy.Policy straight to a form. What a form cannot
// say comes back as sentences, and is never lost in silence.
//
// Nothing here needs a privilege. What is written depends on what is given alone: the
// same policy gives the same bytes.
package export

import (
	"fmt"
	"io"
	"slices"

	"speaker/policy"
)

// Options say what to write.
type Options struct {
	// Phase is policy.Boot for the wide filter (a container that is never
	// narrowed) or policy.Run for the narrow one.
	Phase policy.Phase
	// Runtime adds what container runtimes call between loading the filter and
	// starting the program. A container does not start without.
	Runtime bool
}

// Write writes the policy in the format of that name. The sentences say what the
// format cannot say, and what is written instead.
func Write(w io.Writer, format string, p policy.Policy, o Options) (warnings []string, err error) {
	profile, err := Of(p, o)
	if err != nil {
		return nil, err
	}
	profile.phase = o.Phase.String()
	warnings, err = WriteProfile(w, format, profile)
	if _, without := conditions(p, o); err == nil && without.Len() > 0 {
		warnings = append(warnings, fmt.Sprintf("conditions on %s are left out: container runtimes make these calls under the filter, before the program starts", without))
	}
	if err == nil {
		warnings = append(warnings, unanswered(p, o)...)
	}
	return warnings, err
}

// unanswered tells which calls do not get the answer that is theirs alone.
func unanswered(p policy.Policy, o Options) []string {
	when, _ := conditions(p, o)
	kept := answers(p, o.Phase, when).Single
	var out []string
	for _, x := range p.Answers(o.Phase).Single {
		if !slices.Contains(kept, x) {
			out = append(out, fmt.Sprintf("%s gets %s under its condition only: what else it is called with gets what all calls do", x.Call, policy.ActAllow))
		}
	}
	return out
}

// allowed returns what the options pick from the policy.
func allowed(p policy.Policy, o Options) (policy.Set, error) {
	var set policy.Set
	switch o.Phase {
	case policy.Boot:
		set = p.Wide()
	case policy.Run:
		set = p.Narrow()
	default:
		return policy.Set{}, fmt.Errorf("export policy: phase %s has no filter, boot and run have", o.Phase)
	}
	if set.Len() == 0 {
		return policy.Set{}, fmt.Errorf("export policy: %s allows no call", o.Phase)
	}
	if o.Runtime {
		set = set.Union(RuntimeCalls())
	}
	return set, nil
}

// sortedNames returns the names of the calls without their ABI, each once.
func sortedNames(calls policy.Set) []string {
	var names []string
	for c := range calls.All() {
		names = append(names, c.Name())
	}
	slices.Sort(names)
	return slices.Compact(names)
}
