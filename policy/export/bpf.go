package export

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// maxUnclear is how many calls of a program may look at arguments in a way that is
// not found out.
const maxUnclear = 100

// looksBPF asks for the size of a program, and for an end that answers.
func looksBPF(data []byte) bool {
	insns, err := policy.Decode(data)
	return err == nil && !utf8.Valid(data) && insns[len(insns)-1].Code&7 == unix.BPF_RET
}

// readBPF finds out what a program answers by running it for every call.
func readBPF(data []byte) (Profile, []string, error) {
	insns, err := policy.Decode(data)
	if err != nil {
		return Profile{}, nil, err
	}
	return OfFilters([][]unix.SockFilter{insns}, policy.Native())
}

// OfFilters returns the profile of filters that stand on each other, oldest first,
// on a machine of the given ABI: what they answer to every call, and under which
// conditions. The sentences name what is not found out.
func OfFilters(chain [][]unix.SockFilter, machine policy.ABI) (Profile, []string, error) {
	const last = 4095 // a number that no call has
	unknown, err := policy.Recover(chain, policy.Call{ABI: machine, Nr: last})
	if err != nil {
		return Profile{}, nil, err
	}
	p := Profile{Default: unknown.Otherwise}
	var unclear, warnings []string
	for _, abi := range allABIs {
		if !abi.On(machine) {
			continue
		}
		rules, lost, err := rulesIn(chain, abi, p.Default)
		if err != nil {
			return Profile{}, nil, err
		}
		if unclear = append(unclear, lost...); len(unclear) > maxUnclear {
			return Profile{}, nil, errors.New("it looks at arguments in ways that are not found out")
		}
		if abi != machine && foreign(rules, abi, p.Default) {
			continue // it answers them as any filter that is not for the ABI
		}
		p.Arches = append(p.Arches, string(architectures[abi]))
		p.Rules = append(p.Rules, rules...)
	}
	if len(unclear) > 0 {
		warnings = append(warnings, "depends on arguments in a way that is not found out: "+few(unclear))
	}
	if len(p.Rules) > maxNames {
		return Profile{}, nil, fmt.Errorf("%d rules, at most %d are taken", len(p.Rules), maxNames)
	}
	return p, warnings, nil
}

// rulesIn are the rules about calls of one ABI: those with a name, and the numbers
// that are answered otherwise than numbers that no call has.
func rulesIn(chain [][]unix.SockFilter, abi policy.ABI, fallback policy.Action) (rules []Rule, unclear []string, err error) {
	beyond, err := policy.Recover(chain, policy.Call{ABI: abi, Nr: 4095})
	if err != nil {
		return nil, nil, err
	}
	for nr := range uint32(4096) {
		c := policy.Call{ABI: abi, Nr: nr}
		got, err := policy.Recover(chain, c)
		if err != nil {
			return nil, nil, err
		}
		if got.Unclear {
			if unclear = append(unclear, abiName(c)); len(unclear) > maxUnclear {
				return nil, unclear, nil
			}
		}
		if !c.Known() && len(got.Rules) == 0 && got.Otherwise == beyond.Otherwise {
			continue
		}
		name := []string{abiName(c)}
		for _, r := range got.Rules {
			rules = append(rules, Rule{Names: name, Action: r.Action, When: r.When})
		}
		if got.Otherwise != fallback {
			rules = append(rules, otherwise(name, got)...)
		}
	}
	return rules, unclear, nil
}

// otherwise is the rule for arguments that no condition is about. Where there are
// conditions it cannot be a rule of its own: those with one answer more than the
// default are written as that answer's opposite.
func otherwise(name []string, got policy.Recovered) []Rule {
	if len(got.Rules) == 0 {
		return []Rule{{Names: name, Action: got.Otherwise}}
	}
	var out []Rule
	for _, when := range policy.Complement(got.Rules) {
		out = append(out, Rule{Names: name, Action: got.Otherwise, When: when})
	}
	return out
}

// foreign reports whether a filter has one answer for a whole ABI.
func foreign(rules []Rule, abi policy.ABI, fallback policy.Action) bool {
	if len(rules) == 0 {
		return false
	}
	for _, r := range rules {
		if r.Action != rules[0].Action || len(r.When) > 0 || r.Action.Allows() {
			return false
		}
	}
	return len(rules) >= len(policy.Calls(abi))
}
