package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// dialog is a box over the screen that takes the keys while it is open.
type dialog interface {
	// key takes a key press: its name ("enter", "a"), and the text it types.
	key(name, text string) answer
	// draw returns the box's title, at most h rows of w cells, and the last
	// row, which is always shown.
	draw(d *draw, w, h int) (title string, rows []string, foot string)
}

// answer is what a dialog makes of a key.
type answer struct {
	close bool
	// then is what the dialog decided, run after it is closed.
	then func(m *model) tea.Cmd
}

// paster is a dialog that takes pasted text.
type paster interface{ paste(text string) }

// opened is a dialog on the stack.
type opened struct {
	dialog
	at time.Time
	// byItself is set on a dialog that no key opened. Its keys wait until the
	// keyboard has been quiet, so that what was being typed answers nothing.
	byItself bool
}

// quiet is how long the keyboard must rest before such a dialog listens.
const quiet = 400 * time.Millisecond

// listens reports whether a key at now, the last one having come at last, is
// meant for the dialog.
func (o *opened) listens(now, last time.Time) bool {
	if !o.byItself {
		return true
	}
	if last.Before(o.at) {
		last = o.at
	}
	if now.Sub(last) < quiet {
		return false
	}
	o.byItself = false
	return true
}

// maxBox is the width from which on a line is tiring to read.
const maxBox = 96

// boxed draws a dialog in a box that fits r, over the rows of a screen.
func (d *draw) boxed(g dialog, screen []string, r rect) {
	if r.h < 8 || r.w < 30 {
		d.bare(g, screen, r)
		return
	}
	w := r.w
	if w > maxBox+4 {
		w = maxBox
	}
	title, rows, foot := g.draw(d, w-4, r.h-3)
	title = d.clean(title)
	if room := r.h - 3; len(rows) > room {
		rows = rows[:max(0, room)]
	}
	top := d.tl + d.h + d.title.Render(short(" "+title+" ", w-4, d.dots))
	top += strings.Repeat(d.h, max(0, w-1-width(top))) + d.tr
	box := []string{top}
	for _, row := range append(rows, foot) {
		box = append(box, d.v+" "+fit(row, w-4)+" "+d.v)
	}
	box = append(box, d.bl+strings.Repeat(d.h, w-2)+d.br)
	x, y := r.x+(r.w-w)/2, r.y+(r.h-len(box))/2
	for i, row := range box {
		if k := y + i; k >= 0 && k < len(screen) {
			screen[k] = over(screen[k], row, x, w)
		}
	}
}

// bare draws a dialog on a screen that has no room for a box.
func (d *draw) bare(g dialog, screen []string, r rect) {
	var out []string
	room := r.h - 1
	if room >= 2 {
		room--
	}
	title, rows, foot := g.draw(d, r.w, max(0, room))
	title = d.clean(title)
	if room < r.h-1 {
		out = append(out, d.title.Render(short(title, r.w, d.dots)))
	}
	if len(rows) > room {
		rows = rows[len(rows)-max(0, room):] // what is typed is at the end
	}
	out = append(out, rows...)
	for len(out) < r.h-1 {
		out = append(out, "")
	}
	for i, row := range append(out, foot) {
		if k := r.y + i; i < r.h && k < len(screen) {
			screen[k] = fit(row, r.w)
		}
	}
}

// buttons draws a row of buttons; the one in focus is marked by signs and look.
func (d *draw) buttons(labels []string, focus int, note string) string {
	var b strings.Builder
	for i, l := range labels {
		if i == focus {
			b.WriteString(d.cursorCell.Render("[" + l + "]"))
		} else {
			b.WriteString(" " + l + " ")
		}
		b.WriteString("  ")
	}
	return b.String() + d.dim.Render(note)
}
