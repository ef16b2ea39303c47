package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf16"

	"speaker/policy"
	"speaker/session"
)

// cut returns the session's policy, and its split. Without one all is boot, as in
// the workbench, and what Run says of an entry means nothing.
func cut(s *session.Session) (policy.Policy, session.Split, bool) {
	sp, has := s.Split()
	if !has {
		return s.Policy(session.Split{At: math.MaxInt64}), sp, false
	}
	return s.Policy(sp), sp, true
}

// showSession prints a session for people.
func showSession(w io.Writer, s *session.Session, calls bool) error {
	m := s.Meta()
	fmt.Fprintf(w, "target    %s %s  %s\n", printable(m.Target.Engine), printable(m.Target.Name), printable(m.Target.Image))
	if runs := s.Runs(); len(runs) > 0 {
		if err := showRuns(w, runs); err != nil {
			return err
		}
	}
	if s.Length() > 0 || len(s.Runs()) == 0 {
		on := "Linux " + m.Kernel
		if m.EngineVersion != "" {
			on += ", " + m.EngineVersion
		}
		fmt.Fprintf(w, "recorded  %s, %s long, on %s\n", m.Start.Format(time.DateTime), s.Length().Round(time.Millisecond), printable(on))
	}
	for _, c := range s.Completeness() {
		fmt.Fprintf(w, "note      %s\n", printable(c))
	}
	p, sp, has := cut(s)
	if has {
		at := "at " + sp.At.Round(time.Millisecond).String() + ", "
		if len(s.Runs()) > 0 && s.Length() == 0 {
			at = ""
		}
		fmt.Fprintf(w, "split     %s%s (%s)\n", at, printable(sp.How), printable(sp.By))
		showSplit(w, s, sp)
		fmt.Fprintf(w, "policy    %d calls over the whole life, %d while running\n", p.Wide().Len(), p.Narrow().Len())
		showAnswers(w, p)
	} else {
		fmt.Fprintln(w, "split     none: all is taken for boot until there is one")
		if sp.Waits {
			fmt.Fprintf(w, "          %s\n", printable(sp.How))
		}
		fmt.Fprintf(w, "policy    %d calls over the whole life\n", p.Wide().Len())
	}
	for _, o := range opinions(s) {
		place := "none"
		if o.Found {
			place = fmt.Sprintf("at %s, confidence %s", o.At.Round(time.Millisecond), o.Confidence)
		}
		fmt.Fprintf(w, "detector  %s: %s (%s)\n", printable(o.Detector), place, printable(o.How))
	}
	showAdmin(w, s, p, sp, has)
	for _, t := range s.Trials() {
		fmt.Fprintf(w, "tried     %s at %s: %s\n", printable(t.Kind), t.At.Round(time.Millisecond), printable(t.Text))
	}
	if !calls {
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "\nCALL\tBOOT\tRUN\tCOUNT\tFIRST\tLAST\tWHY")
	for _, e := range p.Entries() {
		u := e.Total()
		run, first, last := "?", "-", "-"
		if has {
			run = yes(e.Run)
		}
		if u.Count > 0 {
			first, last = u.First.Round(time.Millisecond).String(), u.Last.Round(time.Millisecond).String()
		}
		boot := yes(e.Boot)
		if e.Boot && p.When(policy.Boot, e.Call) != nil {
			boot = "if"
		}
		if has && e.Run && p.When(policy.Run, e.Call) != nil {
			run = "if"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", e.Call, boot, run, u.Count, first, last, why(e))
	}
	return tw.Flush()
}

// showAnswers tells what calls get that are not allowed, where that was chosen.
func showAnswers(w io.Writer, p policy.Policy) {
	for _, x := range []struct {
		name  string
		phase policy.Phase
	}{{"boot", policy.Boot}, {"run", policy.Run}} {
		if text := p.Answers(x.phase).String(); text != "" {
			fmt.Fprintf(w, "answers   in %s: %s\n", x.name, text)
		}
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "-"
}

// why names the origins of an entry.
func why(e policy.Entry) string {
	var out []string
	for _, c := range e.Conditions {
		out = append(out, fmt.Sprintf("%s only if %s (%s)", c.Phase, c, printable(string(c.Origin))))
	}
	for _, ph := range []policy.Phase{policy.Boot, policy.Run} {
		if a, ok := e.Answers[ph]; ok {
			out = append(out, fmt.Sprintf("%s where %s denies it", a, ph))
		}
	}
	for _, r := range e.Why {
		text := string(r.Origin)
		if r.Origin != policy.OriginEssential {
			text += " " + r.Phase.String()
		}
		if r.Use != nil && r.Use.OfRuns > 0 {
			text += fmt.Sprintf(" %d of %d", r.Use.Runs, r.Use.OfRuns)
		}
		if r.Use != nil && r.Use.Count == 0 && r.Use.Earlier > 0 {
			text += " in another recording"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// showJSON prints a session for programs. Lists are never null; what is not known
// is: the split when there is none, and then what may run.
func showJSON(w io.Writer, s *session.Session) error {
	type seen struct {
		Phase   string `json:"phase"`
		Count   uint64 `json:"count"`
		Earlier uint64 `json:"count_in_another_recording"`
		Runs    int    `json:"runs"` // of a merged session: how many saw it
		OfRuns  int    `json:"of_runs"`
	}
	type condition struct {
		Phase string   `json:"phase"`
		Any   []string `json:"any"` // one of these has to hold
		From  string   `json:"from"`
	}
	type call struct {
		Call      string   `json:"call"`
		Boot      bool     `json:"boot"`
		Run       *bool    `json:"run"`
		Count     uint64   `json:"count"`
		Earlier   uint64   `json:"count_in_another_recording"`
		FirstSecs *float64 `json:"first_seconds"`
		LastSecs  *float64 `json:"last_seconds"`
		Why       string   `json:"why"`
		Seen      []seen   `json:"seen"`
		// Of a call that boot or run allows under conditions alone.
		Conditions []condition `json:"conditions"`
	}
	p, sp, has := cut(s)
	missing := s.Missing()
	out := struct {
		Meta         session.Meta    `json:"meta"`
		LengthSecs   float64         `json:"length_seconds"`
		Completeness []string        `json:"completeness"` // missing, in sentences
		Missing      session.Missing `json:"missing"`
		HasSplit     bool            `json:"has_split"`
		Split        *session.Split  `json:"split"`
		WaitsFor     string          `json:"split_waits_for"` // of a split that a rule pins and that is none yet
		Run          *runFacts       `json:"run"`             // what follows from the split
		Marks        []session.Mark  `json:"marks"`
		Trials       []session.Trial `json:"trials"`
		Calls        []call          `json:"calls"`
		Runs         []runJSON       `json:"runs"`
		Detectors    []opinionJSON   `json:"detectors"` // what each makes of the recording, the weightiest first
		Admin        adminJSON       `json:"admin"`
	}{s.Meta(), s.Length().Seconds(), list(missing.Sentences()), missing, has, nil, "", nil, list(s.Marks()), list(s.Trials()), []call{}, runsJSON(s.Runs()),
		opinionsOf(s), adminOf(s, p, sp, has)}
	if has {
		sp.Evidence = list(sp.Evidence)
		out.Split, out.Run = &sp, runFactsOf(s, sp)
	} else if sp.Waits {
		out.WaitsFor = sp.How
	}
	m := &out.Missing
	m.Gaps, m.Noted, m.OtherABIs, m.RunNotes = list(m.Gaps), list(m.Noted), list(m.OtherABIs), list(m.RunNotes)
	for _, e := range p.Entries() {
		u := e.Total()
		c := call{Call: e.Call.String(), Boot: e.Boot, Count: u.Count, Earlier: u.Earlier, Why: why(e)}
		if has {
			c.Run = &e.Run
		}
		for _, ph := range slices.Sorted(maps.Keys(e.Uses)) {
			u := e.Uses[ph]
			c.Seen = append(c.Seen, seen{ph.String(), u.Count, u.Earlier, u.Runs, u.OfRuns})
		}
		c.Seen = list(c.Seen)
		c.Conditions = []condition{}
		for _, x := range e.Conditions {
			var lists []string
			for _, all := range x.When {
				lists = append(lists, policy.ConditionsText([][]policy.Condition{all}))
			}
			c.Conditions = append(c.Conditions, condition{x.Phase.String(), lists, string(x.Origin)})
		}
		if u.Count > 0 {
			first, last := u.First.Seconds(), u.Last.Seconds()
			c.FirstSecs, c.LastSecs = &first, &last
		}
		out.Calls = append(out.Calls, c)
	}
	return writeJSON(w, out)
}

// runJSON is one recording of a merged session.
type runJSON struct {
	Name       string        `json:"name"`
	Meta       session.Meta  `json:"meta"`
	LengthSecs float64       `json:"length_seconds"`
	Split      session.Split `json:"split"`
	Proposed   bool          `json:"proposed"`
	Notes      []string      `json:"notes"`
}

func runsJSON(runs []session.Run) []runJSON {
	out := []runJSON{}
	for _, r := range runs {
		r.Split.Evidence = list(r.Split.Evidence)
		out = append(out, runJSON{r.Name, r.Meta, r.Length.Seconds(), r.Split, r.Proposed, list(r.Notes)})
	}
	return out
}

// list makes no list an empty one.
func list[T any](x []T) []T {
	if x == nil {
		return []T{}
	}
	return x
}

// escaped escapes, in JSON, what encoding/json leaves as it is although a terminal
// may act on it: DEL, the C1 controls, and what turns the direction of writing.
func escaped(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r == '\n' || !acts(r) {
			out = append(out, string(r)...)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, "\\u%04x", u)
		}
	}
	return out
}

// opinions are what the detectors make of a recording. A merged session's own splits
// say it all.
func opinions(s *session.Session) []session.Opinion {
	if len(s.Runs()) > 0 {
		return nil
	}
	return s.Opinions(s.Length())
}
