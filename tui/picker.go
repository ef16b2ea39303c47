package tui

import (
	"fmt"

	"speaker/tui/bench"
)

// picker is the list of targets.
type picker struct {
	list
	items    []bench.Item
	problems []string
	listed   bool // an answer has come
	asking   bool
}

// show takes a new list and keeps the cursor on the same target.
func (p *picker) show(items []bench.Item, problems []string) {
	old, had := p.chosen()
	p.items, p.problems, p.listed, p.asking = items, problems, true, false
	if !had {
		return
	}
	r, index := p.rows(nil).keep(p.filter)
	for i := range r.n {
		k := i
		if index != nil {
			k = index[i]
		}
		if items[k].Ref == old.Ref {
			p.cursor = i
		}
	}
}

// chosen returns the target under the cursor.
func (p *picker) chosen() (bench.Item, bool) {
	r, index := p.rows(nil).keep(p.filter)
	switch {
	case p.cursor < 0 || p.cursor >= r.n:
		return bench.Item{}, false
	case index != nil:
		return p.items[index[p.cursor]], true
	}
	return p.items[p.cursor], true
}

func (p *picker) rows(d *draw) rows {
	return rows{
		n:    len(p.items),
		text: func(i, w int) string { return itemText(d, p.items[i], w) },
		look: func(i int) look {
			if p.items[i].Pid == 0 && !p.items[i].CanBoot {
				return dimLine
			}
			return plainLine
		},
		match: func(i int) string {
			t := p.items[i]
			return fmt.Sprintf("%s %s %s %s %s %s", t.Engine, t.Name, t.ID, t.Image, t.State, t.Command)
		},
	}
}

func itemHead(w int) string {
	switch {
	case w < 40:
		return fit("engine", 7) + " name"
	case w < 70:
		return fit("engine", 7) + " " + fit("name", w-20) + " state"
	}
	return fit("engine", 7) + " " + fit("name", 20) + " " + fit("image", 20) + " " + fit("state", 11) + " command"
}

func itemText(d *draw, t bench.Item, w int) string {
	engine, name := fit(short(d.clean(t.Engine), 7, ""), 7)+" ", d.clean(t.Name)
	if name == "" {
		name = d.clean(t.Ref)
	}
	switch {
	case w < 40:
		return engine + short(name, w-8, d.dots)
	case w < 70:
		return engine + fit(short(name, w-20, d.dots), w-20) + " " + short(d.clean(t.State), 11, "")
	}
	return engine + fit(short(name, 20, d.dots), 20) + " " + fit(short(d.clean(t.Image), 20, d.dots), 20) + " " +
		fit(short(d.clean(t.State), 11, ""), 11) + " " + short(d.clean(t.Command), w-62, d.dots)
}

func (p *picker) draw(d *draw, to rect) []string {
	all := p.rows(d)
	shown, _ := all.keep(p.filter)
	intro := " Pick what to watch: enter watches it, b boots it again and sees its first call"
	if p.filter != "" {
		intro = d.filtered(&p.list, shown.n, all.n)
	}
	head := []string{
		d.dim.Render(short(intro, to.w, d.dots)),
		d.title.Render(fit(" "+itemHead(to.w-1), to.w)),
	}
	foot := p.foot(d, to)
	upper := to
	upper.h = to.h - len(foot)
	if shown.n == 0 && upper.h > len(head) {
		text := "looking for targets"
		switch {
		case p.listed && p.filter != "":
			text = "nothing matches the filter (/ changes it, esc clears it)"
		case p.listed:
			text = "nothing to watch was found; R looks again"
		}
		shown = d.textRows([]line{say(plainLine, " %s", text)}, to.w)
	}
	return append(d.body(head, shown, &p.list, upper, true), foot...)
}

// foot lists the problems at the bottom, in a third of the height at most.
func (p *picker) foot(d *draw, to rect) []string {
	var lines []line
	for _, t := range p.problems {
		lines = append(lines, say(warn, " ! %s", t))
	}
	folded := d.fold(lines, to.w)
	room := to.h / 3
	var out []string
	for i, f := range folded {
		if i == room-1 && len(folded) > room {
			f.text = fmt.Sprintf(" ! and %d more lines", len(folded)-i)
		}
		if i < room {
			out = append(out, d.as(f.look).Render(fit(f.text, to.w)))
		}
	}
	return out
}
