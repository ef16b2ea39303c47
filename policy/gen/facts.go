package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed calls.tsv
var callsFile string

//go:embed risks.tsv
var risksFile string

// abis are the names of the ABIs in the order of policy.ABI, and the first
// kernel that has each, where that is later than the oldest call's.
var abis = []struct{ name, since string }{{"x86_64", ""}, {"i386", ""}, {"x32", "3.4"}, {"arm64", "3.7"}}

// fact is what is known of one call.
type fact struct {
	since                []string // by ABI; "" for a number that was never used
	family, needs, words string
	groups               []string
	docker               []string // rules, as Go source
	causes               []string // of its risk, as Go source
}

// facts are those of all calls.
type facts struct {
	docker string // which version of Docker's profile
	of     map[string]*fact
}

func readFacts(n numbers) (facts, error) {
	f := facts{of: map[string]*fact{}}
	if err := f.readCalls(callsFile); err != nil {
		return f, fmt.Errorf("read calls.tsv: %w", err)
	}
	if err := f.cover(n); err != nil {
		return f, fmt.Errorf("read calls.tsv: %w", err)
	}
	if err := f.readRisks(risksFile); err != nil {
		return f, fmt.Errorf("read risks.tsv: %w", err)
	}
	if err := f.readGroups(systemdFile); err != nil {
		return f, fmt.Errorf("read systemd.txt: %w", err)
	}
	return f, f.readDocker()
}

// lines goes over the lines of a file that are no comments, cut at its tabs.
func lines(file string, columns int, each func([]string) error) error {
	nr := 0
	for line := range strings.Lines(file) {
		nr++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != columns || slices.Contains(cells, "") {
			return fmt.Errorf("line %d: want %d columns with something in each", nr, columns)
		}
		if err := each(cells); err != nil {
			return fmt.Errorf("line %d: %w", nr, err)
		}
	}
	return nil
}

func (f facts) readCalls(file string) error {
	last := ""
	return lines(file, 5, func(c []string) error {
		if c[0] <= last {
			return fmt.Errorf("%s does not sort behind %s", c[0], last)
		}
		last = c[0]
		since, err := sinceOf(c[1])
		if err != nil {
			return err
		}
		unless := func(s string) string { return strings.TrimPrefix(s, "-") }
		f.of[c[0]] = &fact{since: since, family: unless(c[2]), needs: unless(c[3]), words: c[4]}
		return nil
	})
}

var version = regexp.MustCompile(`^[1-9]\.[0-9]+(\.[0-9]+)?$`)

// sinceOf reads "2.0 i386:4.3" into one version per ABI.
func sinceOf(cell string) ([]string, error) {
	words := strings.Fields(cell)
	out := make([]string, len(abis))
	if cell == "never" {
		return out, nil
	}
	for i, a := range abis {
		out[i] = words[0]
		if a.since != "" && older(out[i], a.since) {
			out[i] = a.since
		}
	}
	for _, w := range words[1:] {
		abi, v, _ := strings.Cut(w, ":")
		i := abiOf(abi)
		if i < 0 {
			return nil, fmt.Errorf("no abi %q", abi)
		}
		out[i] = v
	}
	for _, v := range out {
		if !version.MatchString(v) {
			return nil, fmt.Errorf("%q is no kernel version", v)
		}
	}
	return out, nil
}

// abiOf returns the index of an ABI, -1 if there is none of that name.
func abiOf(name string) int {
	return slices.IndexFunc(abis, func(a struct{ name, since string }) bool { return a.name == name })
}

// older compares two kernel versions.
func older(a, b string) bool {
	var x, y [3]int
	for v, out := range map[string]*[3]int{a: &x, b: &y} {
		fmt.Sscanf(v, "%d.%d.%d", &out[0], &out[1], &out[2])
	}
	return slices.Compare(x[:], y[:]) < 0
}

// cover reports calls that have a number and no line, and the other way round,
// and families of one.
func (f facts) cover(n numbers) error {
	numbered, members := map[string]bool{}, map[string]int{}
	for _, names := range n.names {
		for _, name := range names {
			if name != "" && f.of[name] == nil {
				return fmt.Errorf("%s is missing", name)
			}
			numbered[name] = true
		}
	}
	for name, x := range f.of {
		if !numbered[name] {
			return fmt.Errorf("%s has no number on any abi", name)
		}
		members[x.family]++
	}
	for family, n := range members {
		if n == 1 && family != "" {
			return fmt.Errorf("the family %s has one member", family)
		}
	}
	return nil
}

// The words of risks.tsv and what they are called in package policy.
var (
	levels = map[string]string{"low": "RiskLow", "medium": "RiskMedium", "high": "RiskHigh"}
	kinds  = map[string]string{"cve": "CauseCVE", "escape": "CauseEscape", "power": "CausePower", "record": "CauseRecord"}
)

func (f facts) readRisks(file string) error {
	return lines(file, 5, func(c []string) error {
		level, kind := levels[c[0]], kinds[c[1]]
		if level == "" || kind == "" {
			return fmt.Errorf("no risk is %s %s", c[0], c[1])
		}
		for _, call := range strings.Fields(c[2]) {
			abi, name, ok := strings.Cut(call, ":")
			if !ok {
				abi, name = "", call
			}
			x := f.of[name]
			if x == nil || abi != "" && abiOf(abi) < 0 {
				return fmt.Errorf("no call is %s", call)
			}
			on := "anyABI"
			if abi != "" {
				on = fmt.Sprintf("1<<%d", abiOf(abi))
			}
			x.causes = append(x.causes, fmt.Sprintf("{%s, Cause{%s, %s, %q, %q}}", on, level, kind, c[3], c[4]))
		}
		return nil
	})
}

// source writes the facts, by name.
func (f facts) source() string {
	var b strings.Builder
	fmt.Fprintf(&b, "// Code generated by policy/gen from its calls.tsv, risks.tsv and systemd.txt and from\n// github.com/moby/profiles/seccomp %s; DO NOT EDIT.\n\npackage policy\n\n", f.docker)
	b.WriteString("// facts holds what is known of each call, sorted by name.\nvar facts = [...]fact{\n")
	names := make([]string, 0, len(f.of))
	for name := range f.of {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		x := f.of[name]
		fmt.Fprintf(&b, "{\nname: %q,\nsince: [abis]string{%s},\nwords: %q,\n", name, quoted(x.since), x.words)
		for _, field := range []struct{ name, value string }{{"family", x.family}, {"needs", x.needs}} {
			if field.value != "" {
				fmt.Fprintf(&b, "%s: %q,\n", field.name, field.value)
			}
		}
		if len(x.groups) > 0 {
			fmt.Fprintf(&b, "groups: []string{%s},\n", quoted(x.groups))
		}
		if len(x.docker) > 0 {
			fmt.Fprintf(&b, "docker: []dockerRule{%s},\n", strings.Join(x.docker, ", "))
		}
		if len(x.causes) > 0 {
			fmt.Fprintf(&b, "causes: []cause{\n%s,\n},\n", strings.Join(x.causes, ",\n"))
		}
		b.WriteString("},\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// quoted writes strings as the elements of a Go literal.
func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}
