package tui

import (
	"fmt"
	"time"
)

// logPane shows what to beware of, and what was said.
type logPane struct {
	list
	said []saying // newest last
}

// saying is a message that was shown.
type saying struct {
	at   time.Time
	look look
	text string
}

// keepSaid bounds the log.
const keepSaid = 500

func (p *logPane) add(at time.Time, l look, text string) {
	p.said = append(p.said, saying{at, l, text})
	if len(p.said) > keepSaid {
		p.said = p.said[1:]
	}
}

// lines are what keeps the recording from being complete, what the policy
// warns of, what went wrong, and what was said.
func (p *logPane) lines(n *snapshot) []line {
	var out []line
	head := func(text string, empty bool, none string) {
		out = append(out, say(strong, "%s", text))
		if empty {
			out = append(out, say(dimLine, "  %s", none))
		}
	}
	head("The recording", len(n.gaps) == 0, "complete: nothing is known to be missing")
	for _, g := range n.gaps {
		out = append(out, say(warn, "  %s", g))
	}
	l := n.state.Lost
	out = append(out, say(dimLine, "  lost: calls %d, events %d; samples dropped %d, skipped by rate %d; dry-run rows %d",
		l.Table, l.EventsDropped, l.SamplesDropped, l.SamplesSkipped, l.JudgedDropped))
	if e := n.state.RecordErr; e != "" {
		out = append(out, say(bad, "  not written to disk: %s", e))
	}
	if n.standing != noSplit {
		out = append(out, say(dimLine, "  %s", n.learning))
	}
	head("New in run", len(n.late) == 0, "nothing: no call came late")
	for _, x := range n.late {
		out = append(out, say(warn, "  %s", x))
	}
	head("The policy", len(n.warnings) == 0, "no warning")
	for _, w := range n.warnings {
		for _, x := range warned(w) {
			x.text = "  " + x.text
			out = append(out, x)
		}
	}
	head("What went wrong", len(n.state.Problems) == 0, "nothing")
	for _, t := range n.state.Problems {
		out = append(out, say(warn, "  %s", t))
	}
	head("Messages", len(p.said) == 0, "none")
	for i := len(p.said) - 1; i >= 0; i-- {
		s := p.said[i]
		out = append(out, line{s.look, fmt.Sprintf("  %s  %s", s.at.Format(time.TimeOnly), s.text)})
	}
	return out
}

func (p *logPane) rows(d *draw, n *snapshot, w int) rows { return d.textRows(p.lines(n), w) }

func (p *logPane) draw(d *draw, n *snapshot, to rect, focused bool) []string {
	all := p.rows(d, n, to.w)
	shown, _ := all.keep(p.filter)
	return d.body(textHead(d, &p.list, shown, all, to), shown, &p.list, to, focused)
}

// textHead names what a text pane leaves out above and below. It is there when
// something is.
func textHead(d *draw, l *list, shown, all rows, to rect) []string {
	if shown.n <= to.h && l.filter == "" || to.h < 4 {
		return nil
	}
	l.sync(shown.n, to.h-1)
	return []string{d.dim.Render(short(" "+l.more()+d.filtered(l, shown.n, all.n), to.w, d.dots))}
}
