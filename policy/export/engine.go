package export

import (
	"fmt"

	seccomp "github.com/seccomp/libseccomp-golang"

	"speaker/policy"
)

// EngineDiffers words what engines on a host answer otherwise than the profile says: their
// libseccomp merges what it makes of conditions, so that some that look at several
// arguments answer arguments that no rule is about, with more denied or with more
// allowed; with others it does not come to an end (both seen with 2.5.4). It looks
// at calls of the native ABI that have conditions, at every argument where an answer
// could change.
func (p Profile) EngineDiffers(h Host) []string {
	h.Crun, h.Knows = true, known // runc adds an answer to newer calls, and nothing else
	p, _ = p.decided(h)
	p.Newer = 0
	rules, _, err := p.Resolve(h)
	if err != nil {
		return nil // who reads it is told
	}
	var calls []policy.Call
	for _, r := range rules.All() {
		if len(r.When) > 0 && r.Call.ABI == h.ABI && (len(calls) == 0 || calls[len(calls)-1] != r.Call) {
			calls = append(calls, r.Call)
		}
	}
	if len(calls) == 0 {
		return nil
	}
	raw, _, err := engineOutput(p, h, (*seccomp.ScmpFilter).ExportBPF)
	if err != nil {
		return []string{"engines may not get it started, take some conditions away: " + err.Error()}
	}
	insns, err := policy.Decode(raw)
	if err != nil {
		return []string{"engines may not get it started, take some conditions away: " + err.Error()}
	}
	n, first := 0, ""
	for _, c := range calls {
		for _, args := range policy.Edges(rules.Of(c)) {
			d := policy.DataOf(c)
			d.Args = args
			got, err := policy.Eval(insns, d)
			want := rules.Want(c, args)
			if err == nil && got == want {
				continue
			}
			if n++; n == 1 {
				first = fmt.Sprintf("%s with %#x gets %s, not %s", c, args, got, want)
			}
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("engines answer %d cases of arguments otherwise, as their libseccomp merges these conditions wrongly: %s; take some away until this is gone", n, first)}
}
