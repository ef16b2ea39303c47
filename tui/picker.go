package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/tui/bench"
)

// picker is the list of targets.
type picker struct {
	list
	items    []bench.Item
	problems []string
	listed   bool // an answer has come
	asking   bool
	turn     int       // of asking; what an earlier one brings is old
	at       time.Time // when it was listed
}

// quickly is how long the engines are waited for before there is a list: one that
// hangs must not hide what the others have.
const quickly = 400 * time.Millisecond

// targets is the message that the targets were listed.
type targets struct {
	turn     int
	whole    bool // no engine was given up for being slow
	items    []bench.Item
	problems []string
}

// refresh lists the targets. It is no job: nothing waits for it.
func (m *model) refresh() tea.Cmd {
	m.picker.asking = true
	m.picker.turn++
	return m.listTargets(quickly)
}

// listTargets lists them in a time; 0: in the engines' own.
func (m *model) listTargets(within time.Duration) tea.Cmd {
	ctx, backend, turn := m.ctx, m.backend, m.picker.turn
	return func() tea.Msg {
		if within > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, within)
			defer cancel()
		}
		items, problems := backend.Targets(ctx)
		return targets{turn, within == 0 || ctx.Err() == nil, items, problems}
	}
}

// listedTargets shows what was listed, and asks the slow ones again.
func (m *model) listedTargets(t targets) tea.Cmd {
	if t.turn != m.picker.turn {
		return nil
	}
	if t.whole {
		m.picker.show(t.items, t.problems, m.now())
		return nil
	}
	m.picker.show(t.items, nil, m.now())
	m.picker.asking = true
	return m.listTargets(0)
}

// show takes a new list and keeps the cursor on the same target.
func (p *picker) show(items []bench.Item, problems []string, at time.Time) {
	old, had := p.chosen()
	p.items, p.problems, p.listed, p.asking, p.at = items, problems, true, false, at
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
			return fmt.Sprintf("%s %s %s %s %s %s %s", t.Engine, t.Namespace, t.Name, t.ID, t.Image, t.State, t.Command)
		},
	}
}

// pickColumns are the widths of the list's columns on a screen of a width; 0: left out.
// The command has what is left.
type pickColumns struct{ engine, name, image, state, command int }

func pickColumnsFor(w int) pickColumns {
	c := pickColumns{engine: 10}
	switch {
	case w < 40:
		c.engine = 7
		c.name = w - c.engine - 1
		return c
	case w < 70:
		c.state = 11
		c.name = w - c.engine - c.state - 2
		return c
	case w < 110:
		c.name, c.image, c.state = 20, 18, 11
	default:
		c.name, c.image, c.state = 36, 32, 11
	}
	c.command = w - c.engine - c.name - c.image - c.state - 4
	return c
}

// row puts texts into columns.
func (c pickColumns) row(dots, engine, name, image, state, command string) string {
	var cells []string
	for _, x := range []struct {
		w          int
		text, tail string
	}{{c.engine, engine, ""}, {c.name, name, dots}, {c.image, image, dots}, {c.state, state, ""}, {c.command, command, dots}} {
		if x.w > 0 {
			cells = append(cells, fit(short(x.text, x.w, x.tail), x.w))
		}
	}
	return strings.TrimRight(strings.Join(cells, " "), " ")
}

func itemHead(w int) string {
	return pickColumnsFor(w).row("", "engine", "name", "image", "state", "command")
}

func itemText(d *draw, t bench.Item, w int) string {
	name := d.clean(t.Name)
	if name == "" {
		name = d.clean(t.Ref)
	}
	return pickColumnsFor(w).row(d.dots, d.clean(t.Engine), name, d.clean(t.Image), d.clean(t.State), d.clean(t.Command))
}

// detailFrom is the height from which on the chosen target's facts are shown.
const detailFrom = 12

// detail tells of the chosen target what the list has no room for.
func (p *picker) detail(d *draw, to rect) []string {
	t, ok := p.chosen()
	if !ok || to.h < detailFrom || to.w < 40 {
		return nil
	}
	lines := []line{say(strong, " %s", detailHead(t, p.at)), say(plainLine, " %s", detailFacts(t)), say(dimLine, " %s", t.Command)}
	var out []string
	for _, l := range lines {
		out = append(out, d.as(l.look).Render(fit(short(d.clean(l.text), to.w, d.dots), to.w)))
	}
	return out
}

// detailHead says which target it is, and since when, as of a time.
func detailHead(t bench.Item, at time.Time) string {
	parts := []string{t.Ref}
	if t.Namespace != "" {
		parts = append(parts, "namespace "+t.Namespace)
	}
	if len(t.ID) > 12 && t.Cgroup != t.ID {
		parts = append(parts, "id "+t.ID[:12])
	}
	if t.Pid != 0 {
		parts = append(parts, fmt.Sprintf("pid %d", t.Pid))
	}
	if !t.Created.IsZero() && at.After(t.Created) {
		parts = append(parts, "made "+age(at.Sub(t.Created))+" ago")
	}
	return strings.Join(parts, "  ")
}

// detailFacts says how it is confined already.
func detailFacts(t bench.Item) string {
	f := t.Facts
	switch {
	case f == nil && t.Pid == 0 && t.Engine != "demo" && t.Engine != "run":
		return "not running: what confines it shows once it runs"
	case f == nil:
		return "what confines it shows once it is watched"
	}
	nnp := "no"
	if f.NoNewPrivs {
		nnp = "yes"
	}
	text := fmt.Sprintf("seccomp %s  no_new_privs %s  %s", f.Filter(), nnp, plural(f.Processes, "process"))
	if f.CgroupVersion != 0 {
		text += fmt.Sprintf("  cgroup v%d", f.CgroupVersion)
	}
	return text + "  caps " + f.Capabilities() // last: it may be long
}

// age writes how long ago something was: 40s, 12m, 3h, 5d.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
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
	foot := append(p.detail(d, to), p.foot(d, to)...)
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
