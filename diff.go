package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/session"
)

// exitStatus ends speaker with a status of its own, and nothing to tell.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// trouble is an error for which a comparison ends with 2: 1 says that the sides
// differ.
type trouble struct{ error }

func (t trouble) Unwrap() error { return t.error }

// filterNames are the filters of a session, by what --phase calls them.
var filterNames = map[string]policy.Phase{"boot": policy.Boot, "run": policy.Run}

func diffCommand(s *settings) *cobra.Command {
	var asJSON bool
	var phase string
	c := &cobra.Command{Use: "diff A B", Short: "compare sessions and profiles, in any mix (no root needed)",
		Long: `Compares two sessions, two profiles, or one with the other: what only A has (-),
what only B has (+), and what both answer in another way (~).

Sessions are compared phase by phase, in what was seen and in what their filters
allow. A profile (of Docker, Podman, the OCI, …) is one filter: of a session
beside it the one that --phase names is taken, with what container runtimes call,
as export writes it. Rules for capabilities are read for a container that has
Docker's default ones.

The exit status is 0 when they are the same, 1 when they differ, and 2 for
trouble.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("two files are needed: sessions or profiles")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ph, ok := filterNames[phase]
			if !ok {
				return usageError{fmt.Errorf("--phase %q: say boot (the whole life) or run (the narrow filter)", phase)}
			}
			a, err := openSide(cmd, args[0])
			if err != nil {
				return trouble{err}
			}
			b, err := openSide(cmd, args[1])
			if err != nil {
				return trouble{err}
			}
			d := compare(a, b, ph)
			write := d.text
			if asJSON {
				write = d.json
			}
			if err := write(s.out); err != nil {
				return trouble{err}
			}
			if !d.same() {
				return exitStatus(1)
			}
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&phase, "phase", "boot", "the filter of a session that is compared with a profile: boot (the whole life) or run")
	return c
}

// side is one of the two that are compared: a session or a profile.
type side struct {
	path    string
	session *session.Session
	split   session.Split
	format  string // of a profile
	rules   policy.Rules
}

// openSide reads a session or a profile, whichever the file holds.
func openSide(cmd *cobra.Command, path string) (side, error) {
	sess, damage, err := session.Open(path)
	if errors.Is(err, session.ErrNotSession) {
		return openProfile(cmd, path)
	}
	if err != nil {
		return side{}, err
	}
	if text := damage.String(); text != "" {
		note(cmd, path+": "+text)
	}
	sp, proposed, err := sess.SplitOrProposal()
	if err != nil {
		return side{}, hinted{fmt.Errorf("compare %s: %w", path, err), "speaker open " + path + " and set one"}
	}
	if proposed {
		note(cmd, path+" has no split: it is cut where one is proposed, "+sp.How)
	}
	return side{path: path, session: sess, split: sp}, nil
}

func openProfile(cmd *cobra.Command, path string) (side, error) {
	data, err := readProfile(path)
	if err != nil {
		return side{}, err
	}
	p, notes, err := export.Read(data, "")
	if err != nil {
		return side{}, fmt.Errorf("%s is no session: %w", path, err)
	}
	rules, more, err := p.Resolve(export.Host{ABI: policy.Native(), Caps: export.DefaultCaps()})
	if err != nil {
		return side{}, fmt.Errorf("%s: %w", path, err)
	}
	for _, text := range slices.Concat(notes, more) {
		note(cmd, path+": "+text)
	}
	return side{path: path, format: p.Format, rules: rules}, nil
}

// readProfile reads a regular file of bounded size.
func readProfile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file to read", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, export.MaxSize+1))
}

// filter is the side as one filter.
func (x side) filter(ph policy.Phase) session.Filter {
	if x.session == nil {
		return session.FilterOfRules(x.rules)
	}
	return session.FilterOf(export.SpecOf(x.session.Policy(x.split), ph))
}

// difference is what was compared, and how.
type difference struct {
	a, b  side
	parts []session.Part
	how   string // what of the sessions was taken, "" for all of both
}

func compare(a, b side, ph policy.Phase) difference {
	d := difference{a: a, b: b}
	if a.session != nil && b.session != nil {
		d.parts = session.Diff(a.session, a.split, b.session, b.split)
		return d
	}
	name := map[policy.Phase]string{policy.Boot: "wide filter", policy.Run: "narrow filter"}[ph]
	if a.session == nil && b.session == nil {
		name = "filter"
	} else {
		d.how = fmt.Sprintf("of the session, the %s with what container runtimes call, as export --phase %s writes it", name, ph)
	}
	d.parts = []session.Part{session.DiffFilters(name, a.filter(ph), b.filter(ph))}
	return d
}

func (d difference) same() bool {
	return !slices.ContainsFunc(d.parts, func(p session.Part) bool { return !p.Same() })
}

// what says what a side is.
func (x side) what() string {
	if x.session == nil {
		return x.format + " profile"
	}
	if n := len(x.session.Runs()); n > 0 {
		return fmt.Sprintf("session, merged of %d", n)
	}
	return "session"
}

// text prints a comparison for people.
func (d difference) text(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "--- %s  (%s)\n+++ %s  (%s)\n", printable(d.a.path), printable(d.a.what()), printable(d.b.path), printable(d.b.what()))
	if d.how != "" {
		fmt.Fprintln(&b, d.how)
	}
	for _, p := range d.parts {
		if p.Same() {
			fmt.Fprintf(&b, "\n%s: the same %s\n", p.Name, plural(p.CountA, "call"))
			continue
		}
		fmt.Fprintf(&b, "\n%s: %s, then %d\n", p.Name, plural(p.CountA, "call"), p.CountB)
		writeCalls(&b, "-", p.OnlyA)
		writeCalls(&b, "+", p.OnlyB)
		writeChanges(&b, p.Changed)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeCalls writes a line for each call. One that several ABIs have under one name
// takes one line.
func writeCalls(w io.Writer, sign string, calls []policy.Call) {
	also := map[string][]string{}
	var first []policy.Call
	for _, c := range calls { // by ABI, the machine's own first
		if also[c.Name()] == nil {
			also[c.Name()] = []string{}
			first = append(first, c)
		} else {
			also[c.Name()] = append(also[c.Name()], c.ABI.String())
		}
	}
	for _, c := range byName(first) {
		fmt.Fprintf(w, "%s %s%s\n", sign, about(c), alsoIn(also[c.Name()]))
	}
}

func alsoIn(abis []string) string {
	if len(abis) == 0 {
		return ""
	}
	return " (also " + strings.Join(abis, ", ") + ")"
}

// about is a call with what it does and what leaving it open costs.
func about(c policy.Call) string {
	i, ok := c.Info()
	if !ok {
		return c.String()
	}
	text := fmt.Sprintf("%-22s %s", c, i.Words)
	if i.Risk.Level > policy.RiskNone {
		text += fmt.Sprintf(" (risk: %s)", i.Risk.Level)
	}
	return text
}

// fewNames is how many calls that change in the same way are named.
const fewNames = 20

// writeChanges writes those calls together that change in the same way.
func writeChanges(w io.Writer, all []session.Change) {
	var ways []string
	calls := map[string][]string{}
	for _, c := range all {
		way := c.A + " -> " + c.B
		if calls[way] == nil {
			ways = append(ways, way)
		}
		calls[way] = append(calls[way], c.Call.String())
	}
	for _, way := range ways {
		list := calls[way]
		slices.Sort(list)
		rest := ""
		if n := len(list) - fewNames; n > 0 {
			list, rest = list[:fewNames], fmt.Sprintf(" and %d more (--json has all)", n)
		}
		fmt.Fprintf(w, "~ %s: %s%s\n", way, strings.Join(list, " "), rest)
	}
}

// json prints a comparison for programs. Lists are never null.
func (d difference) json(w io.Writer) error {
	type change struct {
		Call string `json:"call"`
		A    string `json:"a"`
		B    string `json:"b"`
	}
	type part struct {
		Name    string   `json:"part"`
		CountA  int      `json:"count_a"`
		CountB  int      `json:"count_b"`
		OnlyA   []string `json:"only_a"`
		OnlyB   []string `json:"only_b"`
		Changed []change `json:"changed"`
	}
	type file struct {
		Path string `json:"path"`
		Kind string `json:"kind"` // session, or the format of a profile
	}
	fileOf := func(x side) file {
		if x.session != nil {
			return file{x.path, "session"}
		}
		return file{x.path, x.format}
	}
	out := struct {
		A        file   `json:"a"`
		B        file   `json:"b"`
		Same     bool   `json:"same"`
		Compared string `json:"compared"` // what was taken of a session beside a profile
		Parts    []part `json:"parts"`
	}{fileOf(d.a), fileOf(d.b), d.same(), d.how, []part{}}
	for _, p := range d.parts {
		x := part{p.Name, p.CountA, p.CountB, names(p.OnlyA), names(p.OnlyB), []change{}}
		for _, c := range p.Changed {
			x.Changed = append(x.Changed, change{c.Call.String(), c.A, c.B})
		}
		out.Parts = append(out.Parts, x)
	}
	return writeJSON(w, out)
}

// byName orders calls for people.
func byName(calls []policy.Call) []policy.Call {
	return slices.SortedFunc(slices.Values(calls), func(a, b policy.Call) int { return strings.Compare(a.String(), b.String()) })
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func names(calls []policy.Call) []string {
	out := []string{}
	for _, c := range byName(calls) {
		out = append(out, c.String())
	}
	return out
}

// writeJSON prints a value, with nothing in it that a terminal would act on.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escaped(b.Bytes()))
	return err
}
