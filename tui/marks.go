package tui

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"speaker/session"
)

// marksPane lists what happened and when, with the evidence for the split, in
// the order of time.
type marksPane struct{ list }

// instant is one row of it.
type instant struct {
	at         time.Duration
	kind, text string
	pid        uint32
	comm       string
	look       look
	admin      int // of a marked reload: its number
}

// instants puts marks, evidence, new calls, trials and markers in order.
func instants(n *snapshot) []instant {
	var out []instant
	for _, m := range n.marks {
		out = append(out, instant{at: m.At, kind: m.Kind, text: m.Text, pid: m.Pid, comm: m.Comm})
	}
	out = append(out, newCalls(n.discoveries)...)
	for _, x := range n.late {
		out = append(out, instant{at: x.At, kind: "NEW IN RUN", text: x.String(), look: warn})
	}
	sp := n.split
	if n.standing == noSplit || n.standing == moving {
		sp = n.proposal
	}
	for _, e := range sp.Evidence {
		x := instant{at: e.At, kind: "for", text: e.Text, look: good}
		if !e.For {
			x.kind, x.look = "against", warn
		}
		out = append(out, x)
	}
	for _, t := range n.trials {
		x := instant{at: t.At, kind: "tried", text: t.Kind + ": " + t.Text, look: plainLine}
		if !t.OK {
			x.text, x.look = t.Kind+" FAILED: "+t.Text, bad
		}
		out = append(out, x)
	}
	out = append(out, markerRows(n)...)
	out = append(out, adminInstants(n)...)
	slices.SortStableFunc(out, func(a, b instant) int { return int(min(max(a.at-b.at, -1), 1)) })
	return out
}

func markerRows(n *snapshot) []instant {
	var out []instant
	if n.standing != noSplit {
		out = append(out, instant{at: n.split.At, kind: "SPLIT", text: n.standing.String() + ": " + n.split.How, look: strong})
	}
	if n.split.Stop > 0 {
		out = append(out, instant{at: n.split.Stop, kind: "STOP", text: "stop mark", look: strong})
	}
	if n.proposed && n.proposal.At != n.split.At {
		out = append(out, instant{at: n.proposal.At, kind: "proposed", text: n.proposal.How, look: strong})
	}
	for _, o := range n.opinions {
		if o.Found && (!n.proposed || o.At != n.proposal.At) {
			out = append(out, instant{at: o.At, kind: "detector", text: fmt.Sprintf("the %s has the split here (%s): %s", o.Detector, o.Confidence, o.How)})
		}
	}
	return out
}

// together is how close first uses must be to share a row.
const together = 50 * time.Millisecond

// newCalls puts first uses that come together on one row.
func newCalls(ds []session.Discovery) []instant {
	var out []instant
	for i := 0; i < len(ds); {
		j := i
		var calls []string
		for j < len(ds) && ds[j].At-ds[i].At < together {
			calls = append(calls, ds[j].Call.String())
			j++
		}
		last := ds[j-1].At // a split here has all of them in boot
		out = append(out, instant{at: last, kind: "new", text: plural(len(calls), "call") + ": " + listed(calls, 12), look: dimLine})
		i = j
	}
	return out
}

func (p *marksPane) rows(d *draw, n *snapshot) rows { return instantRows(d, instants(n)) }

func instantRows(d *draw, all []instant) rows {
	return rows{
		n: len(all),
		text: func(i, w int) string {
			x := all[i]
			at := fitRight(offset(x.at), 10) + " "
			kind := fit(short(d.clean(x.kind), 12, ""), 12) + " "
			if w < 40 {
				return short(at+d.clean(x.kind)+" "+d.clean(x.text), w, d.dots)
			}
			who := ""
			if x.pid != 0 {
				who = strconv.Itoa(int(x.pid)) + " " + d.clean(x.comm)
			}
			if who == "" {
				return short(at+kind+d.clean(x.text), w, d.dots)
			}
			if w >= 60 {
				who = fit(short(who, 22, ""), 22) + " "
			} else {
				who += " "
			}
			return short(at+kind+who+d.clean(x.text), w, d.dots)
		},
		look: func(i int) look { return all[i].look },
		match: func(i int) string {
			return fmt.Sprintf("%s %d %s %s", all[i].kind, all[i].pid, all[i].comm, all[i].text)
		},
	}
}

// chosen returns the instant under the cursor.
func (p *marksPane) chosen(n *snapshot) (instant, bool) {
	all := instants(n)
	_, index := instantRows(nil, all).keep(p.filter)
	i := p.cursor
	if p.filter != "" {
		if i < 0 || i >= len(index) {
			return instant{}, false
		}
		i = index[i]
	}
	if i < 0 || i >= len(all) {
		return instant{}, false
	}
	return all[i], true
}

func (p *marksPane) draw(d *draw, n *snapshot, to rect, focused bool) []string {
	all := p.rows(d, n)
	shown, _ := all.keep(p.filter)
	head := []string{
		d.dim.Render(short(d.filtered(&p.list, shown.n, all.n)+" enter sets the split there; timeline letters: E exec L listen W wait A accept Y ready S stop U yours ! new in run", to.w, d.dots)),
		d.title.Render(fit("       time what         who and what it was", to.w)),
	}
	return d.body(head, shown, &p.list, to, focused)
}
