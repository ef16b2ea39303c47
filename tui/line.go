package tui

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
)

// look is how a line of text is meant. Its words say the same.
type look int

const (
	plainLine look = iota
	dimLine
	strong
	good
	warn
	bad
)

// line is one paragraph of a scrolled text. Its text may still be foreign: it
// is cleaned when it is drawn.
type line struct {
	look look
	text string
}

// say makes a line.
func say(l look, format string, args ...any) line { return line{l, fmt.Sprintf(format, args...)} }

// as returns the style of a look.
func (s styles) as(l look) lipgloss.Style {
	return [...]lipgloss.Style{lipgloss.NewStyle(), s.dim, s.strong, s.good, s.warn, s.bad}[l]
}

// folded is one row of a drawn text.
type folded struct {
	look look
	text string
	of   int // which line it comes from
}

// fold wraps lines to a width, cleaned.
func (d *draw) fold(lines []line, w int) []folded {
	var out []folded
	for i, l := range lines {
		text := d.clean(l.text)
		body := strings.TrimLeft(text, " ")
		indent := text[:len(text)-len(body)]
		for _, row := range wrap(text, w, indent+"  ") {
			out = append(out, folded{l.look, row, i})
		}
	}
	return out
}

// draw is what drawing needs besides the facts.
type draw struct {
	styles
	glyphs
	ascii bool
	keys  []binding
	blink int // grows with every tick; for spinners
}

func newDraw(ascii bool, keys []binding) *draw {
	return &draw{styles: newStyles(), glyphs: newGlyphs(ascii), ascii: ascii, keys: keys}
}

// clean is the one way for foreign strings onto the screen.
func (d *draw) clean(s string) string { return clean(s, d.ascii) }

// window draws the visible part of a folded text in h rows of w cells, and
// keeps l in step.
func (d *draw) window(rows []folded, l *list, w, h int) []string {
	l.sync(len(rows), h)
	from, to := l.window()
	var out []string
	for _, r := range rows[from:to] {
		out = append(out, d.as(r.look).Render(fit(r.text, w)))
	}
	return out
}

// more says what a window leaves out: "3 more above, 12 below".
func (l *list) more() string {
	above, below := l.top, max(0, l.rows-l.top-l.page)
	switch {
	case above > 0 && below > 0:
		return fmt.Sprintf("%d more above, %d below", above, below)
	case above > 0:
		return fmt.Sprintf("%d more above", above)
	case below > 0:
		return fmt.Sprintf("%d more below", below)
	}
	return ""
}
