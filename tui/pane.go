package tui

import (
	"math"
	"strings"
)

func sqrt(f float64) float64 { return math.Sqrt(f) }

// paneID numbers the panes as their keys do; 0 is the timeline.
type paneID int

const (
	timelineID paneID = iota
	liveID
	setsID
	testID
	marksID
	logID
	panes
)

// place is where a focused pane's keys are looked up.
func (p paneID) place() where {
	return [panes]where{inTimeline, inLive, inSets, inTest, inMarks, inLog}[p]
}

// title is the word on the pane's tab.
func (p paneID) title() string {
	return [panes]string{"Timeline", "Live", "Sets", "Test & apply", "Marks", "Log"}[p]
}

func (p paneID) shortTitle() string {
	return [panes]string{"Time", "Live", "Sets", "Test", "Marks", "Log"}[p]
}

// rows is what a pane shows, one line each. Only what is visible is written
// out: a stream has thousands of rows.
type rows struct {
	n      int
	text   func(i, w int) string // cleaned, at most w cells
	look   func(i int) look
	match  func(i int) string // what a filter looks at; foreign, not cleaned
	noLine bool               // a text: it has no cursor
}

// keep returns rows that match a filter, and the index of each in r.
func (r rows) keep(filter string) (rows, []int) {
	if filter == "" {
		return r, nil
	}
	filter = strings.ToLower(filter)
	var index []int
	for i := range r.n {
		if strings.Contains(strings.ToLower(r.match(i)), filter) {
			index = append(index, i)
		}
	}
	k := r
	k.n = len(index)
	k.text = func(i, w int) string { return r.text(index[i], w) }
	k.look = func(i int) look { return r.look(index[i]) }
	k.match = func(i int) string { return r.match(index[i]) }
	return k, index
}

// body draws rows below their heads, with a cursor where there is one.
func (d *draw) body(head []string, r rows, l *list, to rect, focused bool) []string {
	if len(head) > 0 && to.h < 4 {
		head = head[len(head)-1:] // the last line of a head names the columns
	}
	if to.h < 3 {
		head = nil
	}
	var out []string
	for _, h := range head {
		out = append(out, fit(h, to.w))
	}
	l.sync(r.n, to.h-len(out))
	from, until := l.window()
	for i := from; i < until; i++ {
		style := d.as(r.look(i))
		if r.noLine {
			out = append(out, style.Render(fit(r.text(i, to.w), to.w)))
			continue
		}
		sign := " "
		if i == l.cursor {
			sign = d.glyphs.cursor
			if focused {
				style = style.Reverse(true)
			}
		}
		out = append(out, style.Render(fit(sign+r.text(i, to.w-1), to.w)))
	}
	for len(out) < to.h {
		out = append(out, strings.Repeat(" ", max(0, to.w)))
	}
	return out[:max(0, to.h)]
}

// textRows turns lines into rows without a cursor, folded to a width.
func (d *draw) textRows(lines []line, w int) rows {
	f := d.fold(lines, w)
	return rows{
		n:      len(f),
		text:   func(i, _ int) string { return f[i].text },
		look:   func(i int) look { return f[i].look },
		match:  func(i int) string { return f[i].text },
		noLine: true,
	}
}

// count of rows against all, for a pane's head.
func (d *draw) filtered(l *list, shown, all int) string {
	if l.filter == "" {
		return ""
	}
	return " filter /" + d.clean(l.filter) + ": " + count(uint64(shown)) + " of " + count(uint64(all)) + " "
}
