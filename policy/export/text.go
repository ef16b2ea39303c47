package export

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"

	"speaker/policy"
)

// Text writes one allowed call a line, sorted by name, with the reasons as a
// comment from "#" on. There are no counts and no times in it, so that two files
// differ where the policies do.
func Text(w io.Writer, p policy.Policy, o Options) error {
	set, err := allowed(p, o)
	if err != nil {
		return err
	}
	runtime := policy.Set{}
	if o.Runtime {
		runtime = RuntimeCalls()
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# %s filter, abi %s\n", o.Phase, policy.Native())
	for _, name := range strings.Fields(set.String()) {
		c, err := policy.ParseCall(name)
		if err != nil {
			return fmt.Errorf("export text: %w", err)
		}
		if why := reasons(p, c, runtime.Has(c)); why != "" {
			name = fmt.Sprintf("%-24s # %s", name, why)
		}
		fmt.Fprintln(b, name)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("export text: %w", err)
	}
	return nil
}

// reasons words why c is in the policy, on one line.
func reasons(p policy.Policy, c policy.Call, runtime bool) string {
	var parts []string
	e, _ := p.Entry(c)
	if e.Seen != 0 {
		parts = append(parts, "seen in "+e.Seen.String())
	}
	for _, r := range e.Why {
		switch r.Origin {
		case policy.OriginObserved:
		case policy.OriginHand:
			parts = append(parts, fmt.Sprintf("%s: %s", r.Phase, clean(r.Text)))
		default:
			parts = append(parts, string(r.Origin)+": "+clean(r.Text))
		}
	}
	if runtime {
		parts = append(parts, "container runtime")
	}
	return strings.Join(parts, "; ")
}

// clean keeps a note, which may come with a file from elsewhere, from ending the
// line or talking to a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
