// Package report writes what a session holds as one page, for a review or a ticket:
// self-contained HTML that needs no script and fetches nothing, or Markdown.
//
// What is written depends on the session alone: the same session gives the same
// bytes. Strings of a session come from containers; nothing of them reaches the
// page unescaped. No privilege is needed.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"speaker/policy"
	"speaker/session"
)

// formats are the forms that Write knows, by the end of a file's name.
var formats = map[string]func(io.Writer, page) error{"html": writeHTML, "md": writeMarkdown}

// Formats returns the names that Write takes.
func Formats() []string { return []string{"html", "md"} }

// Write writes the report of a session in the format of that name.
func Write(w io.Writer, format string, s *session.Session) error {
	write := formats[format]
	if write == nil {
		return fmt.Errorf("report: no format %q, there are %s", format, strings.Join(Formats(), ", "))
	}
	return write(w, pageOf(s))
}

// page is all that a report says. Its strings are clean, and neither HTML nor
// Markdown yet.
type page struct {
	Title    string
	Facts    []fact
	Numbers  []number
	HasSplit bool
	Split    string
	Evidence []evidence
	Missing  []string
	Warnings []warning
	Phases   []phase
	Timeline timeline
	Curve    curve
	Learning string
	Late     []string
	Runs     []run
	Aligned  aligned
	Removed  []call
	Open     []call // allowed while running although something is known against them
	Edits    []string
	Trials   []trial
	Calls    []call
}

type fact struct{ Name, Value string }

type number struct {
	N    int
	Text string
}

type evidence struct {
	For      bool
	At, Text string
}

type warning struct {
	Block        bool
	Text, Remedy string
	Calls        string
}

type phase struct {
	Name, What string
	Calls      int
	Count      uint64
	Goes       string // into which filters
}

type run struct {
	N                                             int
	Name, Host, Kernel, Start, Length, Split, How string
}

type trial struct {
	At, Kind, Text string
	OK             bool
}

// call is one call with all that is known of it.
type call struct {
	Name, Words, Needs string
	Boot, Run          bool
	Count              uint64
	First, Last, Why   string
	Risk               string // "" when nothing is known
	level              policy.RiskLevel
	Causes             []cause
}

type cause struct{ Text, Source string }

func pageOf(s *session.Session) page {
	sp, has := s.Split()
	if !has {
		sp = session.Split{At: math.MaxInt64}
	}
	p := s.Policy(sp)
	out := page{HasSplit: has, Facts: factsOf(s), Missing: cleanAll(s.Completeness()), Runs: runsOf(s), Trials: trialsOf(s), Edits: editsOf(s)}
	m := s.Meta()
	out.Title = clean(m.Target.Name)
	if out.Title == "" {
		out.Title = "a target without a name"
	}
	out.Phases = phasesOf(s.Observed(sp), p)
	out.split(s, sp)
	out.calls(p)
	out.Numbers = numbersOf(p, has, len(out.Runs))
	if has {
		out.warnings(p)
		out.learning(s, sp)
	}
	out.Timeline = timelineOf(s, sp, has)
	out.Curve = curveOf(s, sp, has)
	out.Aligned = alignedOf(s.Runs())
	return out
}

func factsOf(s *session.Session) []fact {
	m := s.Meta()
	var out []fact
	add := func(name, value string) {
		if value = clean(value); value != "" {
			out = append(out, fact{name, value})
		}
	}
	add("Target", strings.TrimSpace(m.Target.Engine+" "+m.Target.Name))
	add("Image", m.Target.Image)
	add("Command", m.Target.Command)
	add("Id", m.Target.ID)
	add("Host", m.Host)
	add("Linux", m.Kernel)
	if !m.Start.IsZero() {
		add("Recorded", stamp(m.Start))
	}
	if s.Length() > 0 {
		add("Length", span(s.Length()))
	}
	add("By", m.Tool)
	return out
}

// phaseWords say what the phases are.
var phaseWords = map[policy.Phase]string{
	policy.Init:  "the container runtime's own calls, before the program's first exec",
	policy.Boot:  "from the first exec to the split",
	policy.Run:   "from the split on",
	policy.Stop:  "after the stop signal",
	policy.Exec:  "processes that entered later: docker exec, probes",
	policy.Admin: "intervals marked as administration: a reload",
}

func phasesOf(obs policy.Observed, p policy.Policy) []phase {
	var out []phase
	for ph := policy.Init; phaseWords[ph] != ""; ph++ {
		uses := obs[ph]
		if len(uses) == 0 {
			continue
		}
		x := phase{Name: ph.String(), What: phaseWords[ph], Calls: len(uses), Goes: "left out of both filters"}
		for _, u := range uses {
			x.Count += u.Count
		}
		switch {
		case ph == policy.Boot:
			x.Goes = "in the wide filter"
		case p.Included(ph) && ph != policy.Init:
			x.Goes = "in both filters"
		}
		out = append(out, x)
	}
	return out
}

func (g *page) split(s *session.Session, sp session.Split) {
	if !g.HasSplit {
		g.Split = "There is no split: all is taken for boot until there is one."
		return
	}
	at := "At " + span(sp.At) + ": "
	if len(s.Runs()) > 0 && s.Length() == 0 {
		at = ""
	}
	g.Split = at + clean(sp.How)
	if sp.By != "" {
		g.Split += " (by " + clean(sp.By) + ")"
	}
	if sp.Confidence != "" {
		g.Split += ", confidence " + clean(sp.Confidence)
	}
	if sp.Stop > sp.At {
		g.Split += ". Run ends at " + span(sp.Stop)
	}
	for _, e := range sp.Evidence {
		at := span(e.At)
		if len(s.Runs()) > 0 && s.Length() == 0 {
			at = ""
		}
		g.Evidence = append(g.Evidence, evidence{e.For, at, clean(e.Text)})
	}
}

func numbersOf(p policy.Policy, has bool, runs int) []number {
	removed := p.Wide().Minus(p.Narrow())
	risky := 0
	for c := range removed.All() {
		if i, _ := c.Info(); i.Risk.Level >= policy.RiskMedium {
			risky++
		}
	}
	out := []number{{policy.DockerDefault().Of(policy.Native()).Len(), "calls that Docker's default profile allows"}, {p.Wide().Len(), "calls over the whole life"}}
	if has {
		out = append(out, number{p.Narrow().Len(), "calls while running"}, number{removed.Len(), "removed at the split"}, number{risky, "of these known for risk"})
	}
	if runs > 0 {
		out = append(out, number{runs, "recordings"})
	}
	return out
}

// calls fills in what is known of every call, of what is removed, and of what
// stays open.
func (g *page) calls(p policy.Policy) {
	for _, e := range p.Entries() {
		c := callOf(e)
		g.Calls = append(g.Calls, c)
		switch {
		case g.HasSplit && e.Boot && !e.Run:
			g.Removed = append(g.Removed, c)
		case g.HasSplit && e.Run && c.level >= policy.RiskMedium:
			g.Open = append(g.Open, c)
		}
	}
	worst := func(a, b call) int { return int(b.level) - int(a.level) }
	slices.SortStableFunc(g.Removed, worst)
	slices.SortStableFunc(g.Open, worst)
}

func callOf(e policy.Entry) call {
	u := e.Total()
	i, _ := e.Call.Info()
	out := call{Name: e.Call.String(), Words: i.Words, Needs: i.Needs, Boot: e.Boot, Run: e.Run, Count: u.Count, Why: why(e), level: i.Risk.Level}
	if u.Count > 0 {
		out.First, out.Last = span(u.First), span(u.Last)
	}
	if i.Risk.Level > policy.RiskNone {
		out.Risk = i.Risk.Level.String()
	}
	for _, c := range i.Risk.Causes {
		out.Causes = append(out.Causes, cause{c.Text, c.Source})
	}
	return out
}

// why words the provenance of an entry.
func why(e policy.Entry) string {
	var out []string
	for _, c := range e.Conditions {
		out = append(out, fmt.Sprintf("%s only if %s (%s)", c.Phase, c, clean(string(c.Origin))))
	}
	if seen := e.SeenIn(); seen != "" {
		out = append(out, seen)
	}
	for _, r := range e.Why {
		switch r.Origin {
		case policy.OriginHand:
			out = append(out, r.Phase.String()+": "+clean(r.Text))
		case policy.OriginEssential:
			out = append(out, "essential: "+r.Text)
		}
	}
	return strings.Join(out, "; ")
}

func (g *page) warnings(p policy.Policy) {
	for _, w := range p.Warnings() {
		x := warning{Block: w.Block, Text: clean(w.Text), Remedy: clean(w.Remedy)}
		names := make([]string, len(w.Calls))
		for i, c := range w.Calls {
			names[i] = c.String()
		}
		x.Calls = strings.Join(names, " ")
		g.Warnings = append(g.Warnings, x)
	}
}

// mostLate is how many late calls are told one by one.
const mostLate = 20

func (g *page) learning(s *session.Session, sp session.Split) {
	if s.Length() == 0 {
		return
	}
	g.Learning = "Learned of run: " + s.Learning(sp).String() + "."
	late := s.Late(sp)
	for i, x := range late {
		if i == mostLate {
			g.Late = append(g.Late, fmt.Sprintf("and %d more", len(late)-i))
			break
		}
		g.Late = append(g.Late, clean(x.String()))
	}
}

func runsOf(s *session.Session) []run {
	var out []run
	for i, r := range s.Runs() {
		m := r.Meta
		out = append(out, run{i + 1, clean(m.Target.Name), clean(m.Host), clean(m.Kernel), stamp(m.Start), span(r.Length), span(r.Split.At), clean(r.Split.How)})
	}
	return out
}

func trialsOf(s *session.Session) []trial {
	var out []trial
	for _, t := range s.Trials() {
		out = append(out, trial{span(t.At), clean(t.Kind), clean(t.Text), t.OK})
	}
	return out
}

func editsOf(s *session.Session) []string {
	var out []string
	for _, e := range s.Edits() {
		text := e.String()
		if !e.At.IsZero() {
			text += " (" + stamp(e.At) + ")"
		}
		out = append(out, clean(text))
	}
	return out
}

// stamp writes a wall clock, the same wherever it is read.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime) + " UTC"
}

// span writes a time of a recording.
func span(d time.Duration) string {
	switch a := d.Abs(); {
	case a < time.Minute:
		return fmt.Sprintf("%.3f s", d.Seconds())
	case a < time.Hour:
		return fmt.Sprintf("%d:%02d min", d/time.Minute, d.Abs()%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d:%02d h", d/time.Hour, d.Abs()%time.Hour/time.Minute)
}
