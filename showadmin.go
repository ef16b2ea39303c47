package main

import (
	"fmt"
	"io"
	"time"

	"speaker/policy"
	"speaker/session"
)

// showAdmin prints the marked and the recognised reloads.
func showAdmin(w io.Writer, s *session.Session, p policy.Policy, sp session.Split, has bool) {
	for _, a := range s.Admins() {
		end := "not ended"
		if a.To != 0 {
			end = "to " + a.To.Round(time.Millisecond).String()
		}
		fmt.Fprintf(w, "admin     %s %s: %s (%s)\n", a.From.Round(time.Millisecond), end, printable(a.How), printable(a.By))
	}
	if !has {
		return
	}
	if alone := p.Alone(policy.Admin); len(alone) > 0 {
		word := "run allows these for it alone"
		if !p.Included(policy.Admin) {
			word = "left out: run denies these, and the next reload fails"
		}
		fmt.Fprintf(w, "          %s: %v\n", word, policy.NewSet(alone...))
	}
	for _, r := range s.Recognise(sp) {
		fmt.Fprintf(w, "reload?   %s to %s: %s; nowhere else in run: %v\n", r.From.Round(time.Millisecond), r.To.Round(time.Millisecond),
			printable(r.How), policy.NewSet(r.Calls...))
	}
}

// adminJSON is what is administration in run, for programs.
type adminJSON struct {
	Included   bool       `json:"included"` // its calls go into run's filter
	Alone      []string   `json:"alone"`    // what run has, or lacks, for it alone
	Intervals  []interval `json:"intervals"`
	Recognised []interval `json:"recognised"` // and not decided on
}

type interval struct {
	FromSecs float64  `json:"from_seconds"`
	ToSecs   *float64 `json:"to_seconds"` // null: it has not ended
	How      string   `json:"how"`
	By       string   `json:"by"`
	Calls    []string `json:"calls"` // of a recognised one: what run has nowhere else
}

func intervalOf(a session.Admin, calls []policy.Call) interval {
	x := interval{a.From.Seconds(), nil, a.How, a.By, callNames(calls)}
	if a.To != 0 {
		to := a.To.Seconds()
		x.ToSecs = &to
	}
	return x
}

func adminOf(s *session.Session, p policy.Policy, sp session.Split, has bool) adminJSON {
	out := adminJSON{p.Included(policy.Admin), callNames(p.Alone(policy.Admin)), []interval{}, []interval{}}
	for _, a := range s.Admins() {
		out.Intervals = append(out.Intervals, intervalOf(a, nil))
	}
	if !has {
		return out
	}
	for _, r := range s.Recognise(sp) {
		out.Recognised = append(out.Recognised, intervalOf(r.Admin, r.Calls))
	}
	return out
}

// opinionJSON is what a detector makes of a recording, for programs.
type opinionJSON struct {
	Detector   string             `json:"detector"`
	Found      bool               `json:"found"`
	Pending    bool               `json:"pending"`    // it may have a place later
	AtSecs     *float64           `json:"at_seconds"` // null: no place
	Confidence string             `json:"confidence"`
	How        string             `json:"how"`
	Evidence   []session.Evidence `json:"evidence"`
}

func opinionsOf(s *session.Session) []opinionJSON {
	out := []opinionJSON{}
	for _, o := range s.Opinions(s.Length()) {
		x := opinionJSON{o.Detector, o.Found, o.Pending, nil, o.Confidence, o.How, list(o.Evidence)}
		if at := o.At.Seconds(); o.Found {
			x.AtSecs = &at
		}
		out = append(out, x)
	}
	return out
}
