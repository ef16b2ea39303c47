package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"speaker/policy"
	"speaker/session"
)

// showSplit prints what speaks for and against a split, what it costs there and
// beside it, what came late in run, and what is likely unseen.
func showSplit(w io.Writer, s *session.Session, sp session.Split) {
	for _, e := range sp.Evidence {
		sign := "-"
		if e.For {
			sign = "+"
		}
		fmt.Fprintf(w, "          %s %s\n", sign, printable(e.Text))
	}
	c := s.Cost(sp)
	text := fmt.Sprintf("run may call %d: %s", c.Run.Len(), strings.Join(callNames(c.Run.Calls()), ", "))
	fmt.Fprintf(w, "cost      %s\n", indented(text))
	for _, x := range []*session.Elsewhere{c.Before, c.After} {
		if x != nil {
			text := fmt.Sprintf("%d at %s (%s)%s", x.Run, x.At.Round(time.Millisecond), printable(x.What), change(x))
			fmt.Fprintf(w, "          %s\n", indented(text))
		}
	}
	if s.Length() == 0 { // it is merged: each of its recordings has run apart
		return
	}
	for _, x := range s.Late(sp) {
		fmt.Fprintf(w, "new       in run: %s\n", printable(x.String()))
	}
	l := s.Learning(sp)
	fmt.Fprintf(w, "learning  %d calls in %s of run, %d of them on one occasion, %d on two\n", l.Known, l.Length.Round(time.Second), l.Once, l.Twice)
	fmt.Fprintf(w, "          %s\n", l)
}

// indented breaks a long text into lines for a terminal of 80 columns, below the
// first of which the others stand as wide as its heading is.
func indented(text string) string {
	return strings.ReplaceAll(ansi.WordwrapWc(text, 70, ""), "\n", "\n          ")
}

// callNames are the names of some calls, sorted.
func callNames(list []policy.Call) []string {
	out := []string{}
	for _, c := range list {
		out = append(out, c.String())
	}
	slices.Sort(out)
	return out
}

// change tells which calls run would have besides, and which no longer.
func change(x *session.Elsewhere) string {
	out := ""
	if len(x.More) > 0 {
		out += ", besides: " + strings.Join(callNames(x.More), ", ")
	}
	if len(x.Fewer) > 0 {
		out += ", without: " + strings.Join(callNames(x.Fewer), ", ")
	}
	return out
}

// runFacts is what a split makes of run, for programs.
type runFacts struct {
	Allowed  []string         `json:"allowed"` // what the split costs
	Before   *elsewhere       `json:"before"`  // and would cost at the fact before it
	After    *elsewhere       `json:"after"`
	Late     []late           `json:"late"`
	Learning session.Learning `json:"learning"`
	Curve    []first          `json:"discovery"`
}

type elsewhere struct {
	AtSecs  float64  `json:"at_seconds"`
	What    string   `json:"what"`
	Allowed int      `json:"allowed"`
	More    []string `json:"more"`
	Fewer   []string `json:"fewer"`
}

type late struct {
	first
	InBoot bool   `json:"in_boot"`
	Pid    uint32 `json:"pid"` // 0: not known
	Comm   string `json:"comm"`
}

type first struct {
	AtSecs float64 `json:"at_seconds"`
	Call   string  `json:"call"`
}

func runFactsOf(s *session.Session, sp session.Split) *runFacts {
	c := s.Cost(sp)
	out := &runFacts{Allowed: callNames(c.Run.Calls()), Late: []late{}, Learning: s.Learning(sp), Curve: []first{}}
	beside := func(x *session.Elsewhere) *elsewhere {
		if x == nil {
			return nil
		}
		return &elsewhere{x.At.Seconds(), x.What, x.Run, callNames(x.More), callNames(x.Fewer)}
	}
	out.Before, out.After = beside(c.Before), beside(c.After)
	for _, x := range s.Late(sp) {
		out.Late = append(out.Late, late{first{x.At.Seconds(), x.Call.String()}, x.InBoot, x.Pid, x.Comm})
	}
	for _, d := range out.Learning.Curve {
		out.Curve = append(out.Curve, first{d.At.Seconds(), d.Call.String()})
	}
	return out
}
