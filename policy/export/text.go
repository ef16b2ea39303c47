package export

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"speaker/policy"
)

// The text form has one rule a line, sorted by name, with the reasons as a comment
// from "#" on. There are no counts and no times in it, so that two files differ
// where the policies do.
//
//	openat                        # allowed
//	socket: allow if arg0 == 0x2
//	mount: EACCES
//
// Lines that begin with "@" say the rest: "@default: EPERM" the answer to all other
// calls, "@newer: ENOSYS" that to calls with a number above all in the file, "@abis:
// x86_64 i386" what names are about. Without @default it is EPERM, and ENOSYS for
// the calls that a policy's filters give that.

func writeText(p Profile) ([]byte, []string, error) {
	p, warnings := p.decided(here())
	var b bytes.Buffer
	implied, rules := p.implied()
	if p.phase != "" {
		fmt.Fprintf(&b, "# %s filter, abi %s\n", p.phase, policy.Native())
	}
	if !implied {
		fmt.Fprintf(&b, "@default: %s\n", actionText(p.Default))
		if p.Newer != 0 {
			fmt.Fprintf(&b, "@newer: %s\n", actionText(p.Newer))
		}
	}
	if arches := p.arches(here()); len(arches) > 0 && !slices.Equal(arches, []string{string(architectures[policy.Native()])}) {
		names, other := abiNames(arches)
		fmt.Fprintf(&b, "@abis: %s\n", names)
		warnings = append(warnings, other...)
	}
	if p.Listener != "" || len(p.Flags) > 0 {
		warnings = append(warnings, "the format has no place for a listener and flags: left out")
	}
	var lines []string
	for _, r := range rules {
		for _, name := range r.Names {
			lines = append(lines, p.textLine(name, r))
		}
	}
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		fmt.Fprintln(&b, line)
	}
	return b.Bytes(), warnings, nil
}

// implied reports whether the profile answers what no rule allows as a policy's
// filter does, and returns the rules that need to be written.
func (p Profile) implied() (bool, []Rule) {
	var allowed []policy.Call
	var rules []Rule
	var new []string
	l := lookup{abis: []policy.ABI{policy.Native()}}
	for _, r := range p.Rules {
		if r.Action == enosys && len(r.When) == 0 {
			new = append(new, r.Names...)
			continue
		}
		if r.Action == policy.ActAllow {
			for _, name := range r.Names {
				allowed = append(allowed, l.calls(name)...)
			}
		}
		rules = append(rules, r)
	}
	slices.Sort(new)
	if p.Default != policy.ActErrno|1 || p.Newer != enosys || len(allowed) == 0 || !slices.Equal(new, tooNew(policy.NewSet(allowed...))) {
		return false, p.Rules
	}
	return true, rules
}

// textLine writes one rule about one call.
func (p Profile) textLine(name string, r Rule) string {
	line := name
	if r.Action != policy.ActAllow || len(r.When) > 0 {
		line += ": " + actionText(r.Action)
	}
	for i, c := range r.When {
		line += []string{" if ", " and "}[min(i, 1)] + c.String()
	}
	why := p.notes[name]
	if why == "" {
		why = clean(r.Comment)
	}
	if why != "" {
		line = fmt.Sprintf("%-24s # %s", line, why)
	}
	return line
}

// actionText words an action, with its data where that means something.
func actionText(a policy.Action) string {
	if a.Kind() == policy.ActTrace && a.Data() != 0 {
		return fmt.Sprintf("trace %d", a.Data())
	}
	return a.String()
}

// parseAction reads what actionText writes.
func parseAction(s string) (policy.Action, error) {
	if text, ok := strings.CutPrefix(s, "trace "); ok {
		if n, err := strconv.ParseUint(text, 10, 16); err == nil {
			return policy.ActTrace | policy.Action(n), nil
		}
	}
	return policy.ParseAction(s)
}

// abiNames words architectures by the names that calls are prefixed with.
func abiNames(arches []string) (names string, warnings []string) {
	var known, other []string
	for _, a := range arches {
		i := slices.IndexFunc(allABIs, func(abi policy.ABI) bool { return string(architectures[abi]) == a })
		if i < 0 {
			other = append(other, shorten(a))
			continue
		}
		known = append(known, allABIs[i].String())
	}
	if len(other) > 0 {
		warnings = []string{"left out architectures that have no name here: " + few(other)}
	}
	return strings.Join(known, " "), warnings
}

var allABIs = []policy.ABI{policy.X86_64, policy.I386, policy.X32, policy.ARM64}

// looksText asks every line to be a comment, a directive or a call, and one to be a
// call that there is.
func looksText(data []byte) bool {
	if !utf8.Valid(data) {
		return false
	}
	some := false
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, " #")
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "# ") || line == "#" {
			continue
		}
		name, rest, ok := strings.Cut(line, ": ")
		if !plain(strings.TrimPrefix(name, "@")) || !ok && strings.HasSuffix(name, ":") || ok && rest == "" {
			return false
		}
		if _, err := policy.ParseCall(name); err == nil {
			some = true
		}
	}
	return some
}

func readText(data []byte) (Profile, []string, error) {
	p := Profile{Default: policy.ActErrno | 1}
	implied := true
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line, comment, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " #")
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "# ") || line == "#" {
			continue
		}
		var err error
		switch name, rest, _ := strings.Cut(line, ": "); name {
		case "@default":
			implied = false
			p.Default, err = parseAction(strings.TrimSpace(rest))
		case "@newer":
			p.Newer, err = parseAction(strings.TrimSpace(rest))
		case "@abis":
			p.Arches, err = archesOf(rest)
		default:
			err = p.addText(name, rest, strings.TrimSpace(comment))
		}
		if err != nil {
			return Profile{}, nil, fmt.Errorf("line %d: %w", n, err)
		}
		if len(p.Rules) > maxNames {
			return Profile{}, nil, fmt.Errorf("more than %d rules", maxNames)
		}
	}
	if len(p.Rules) == 0 && implied {
		return Profile{}, nil, errors.New("no rule")
	}
	if implied {
		p.Newer = enosys
		if names := p.impliedNew(); len(names) > 0 {
			p.Rules = append(p.Rules, Rule{Names: names, Action: enosys})
		}
	}
	return p, nil, nil
}

// addText takes in a rule's line.
func (p *Profile) addText(name, rest, comment string) error {
	if !plain(name) || strings.HasPrefix(name, "@") {
		return fmt.Errorf("%q is no name of a call", shorten(name))
	}
	r := Rule{Names: []string{name}, Action: policy.ActAllow, Comment: clean(comment)}
	action, tests, conditional := strings.Cut(rest, " if ")
	if rest != "" {
		var err error
		if r.Action, err = parseAction(action); err != nil {
			return err
		}
	}
	if conditional {
		for text := range strings.SplitSeq(tests, " and ") {
			c, err := policy.ParseCondition(text)
			if err != nil {
				return err
			}
			r.When = append(r.When, c)
		}
	}
	p.Rules = append(p.Rules, r)
	return nil
}

// impliedNew are the calls that fail with ENOSYS unless a line says otherwise.
func (p Profile) impliedNew() []string {
	var allowed []policy.Call
	l := lookup{abis: []policy.ABI{policy.Native()}}
	said := map[string]bool{}
	for _, r := range p.Rules {
		for _, name := range r.Names {
			said[name] = true
			if r.Action == policy.ActAllow {
				allowed = append(allowed, l.calls(name)...)
			}
		}
	}
	if len(allowed) == 0 {
		return nil
	}
	return slices.DeleteFunc(tooNew(policy.NewSet(allowed...)), func(name string) bool { return said[name] })
}

func archesOf(names string) ([]string, error) {
	var out []string
	for name := range strings.FieldsSeq(names) {
		i := slices.IndexFunc(allABIs, func(a policy.ABI) bool { return a.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("no abi %q", shorten(name))
		}
		out = append(out, string(architectures[allABIs[i]]))
	}
	return out, nil
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
