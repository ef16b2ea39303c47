package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// palette finds a command by its name. It is made from the key map.
type palette struct {
	all    []binding
	typed  input
	cursor list
}

// newPalette lists what can be asked for at a place.
func newPalette(keys []binding, at where) *palette {
	p := &palette{}
	for _, b := range keys {
		if b.where&at != 0 && b.act != actPalette && b.act != actBack {
			p.all = append(p.all, b)
		}
	}
	return p
}

func (p *palette) found() []binding {
	var out []binding
	words := strings.Fields(strings.ToLower(p.typed.String()))
next:
	for _, b := range p.all {
		text := strings.ToLower(b.hint + " " + b.help + " " + b.group)
		for _, w := range words {
			if !strings.Contains(text, w) {
				continue next
			}
		}
		out = append(out, b)
	}
	return out
}

func (p *palette) key(name, text string) answer {
	switch name {
	case "esc":
		return answer{close: true}
	case "enter":
		found := p.found()
		if p.cursor.cursor >= len(found) || len(found) == 0 {
			return answer{}
		}
		act := found[p.cursor.cursor].act
		return answer{close: true, then: func(m *model) tea.Cmd { return m.do(act) }}
	case "tab":
		p.cursor.do(actDown)
		return answer{}
	}
	if a := textKey(name, true); a != doNothing {
		p.cursor.do(a)
		return answer{}
	}
	if p.typed.key(name, text) {
		p.cursor = list{}
	}
	return answer{}
}

func (p *palette) paste(text string) { p.typed.insert(text) }

func (p *palette) draw(d *draw, w, h int) (string, []string, string) {
	out := []string{":" + p.typed.draw(d, w-1)}
	found := p.found()
	p.cursor.sync(len(found), max(1, h-1))
	from, to := p.cursor.window()
	for i := from; i < to; i++ {
		row := fit(short(found[i].help, w, d.dots), w)
		if w > 40 {
			row = fit(fit(found[i].keyNames(), 13)+short(found[i].help, w-13, d.dots), w)
		}
		if i == p.cursor.cursor {
			row = d.cursorCell.Render(row)
		}
		out = append(out, row)
	}
	return "Commands", out, d.dim.Render("type to find, enter runs it, esc closes  " + p.cursor.more())
}

// helpLines writes the key map for people, by group.
func helpLines(keys []binding, at where, readOnly bool) []line {
	var out []line
	groups := []string{groupGo, groupPick}
	if at&inBench != 0 {
		groups = []string{groupGo, groupSplit, groupLive, groupSets, groupTest, groupMarks, groupAdmin, groupRecord}
	}
	for _, g := range groups {
		out = append(out, say(strong, "%s", g))
		for _, b := range keys {
			if b.group != g || at&inPicker != 0 && b.where&inPicker == 0 || at&inBench != 0 && b.where&inBench == 0 {
				continue
			}
			text := fmt.Sprintf("  %-15s %s", b.keyNames(), b.help)
			if b.changes && readOnly {
				text += " (not in --readonly)"
			}
			out = append(out, say(plainLine, "%s", text))
		}
	}
	return append(out, helpSigns(at)...)
}

// helpSigns explains what the screen writes in short.
func helpSigns(at where) []line {
	if at&inBench == 0 {
		return nil
	}
	return []line{
		say(strong, "Signs"),
		say(plainLine, "  yes, no         the phase may, or may not, use the call; * decided by hand"),
		say(plainLine, "  new             on the timeline: how many calls were used for the first time (+: over 9)"),
		say(plainLine, "  E L W A Y S U   marks: exec, listen, waits for requests, accept, ready, stop, your own"),
		say(plainLine, "  e s B F R X ?   entered from outside, signal, bind, own filter, io_uring, ended, not recorded"),
		say(plainLine, "  drops           samples that could not be shown; the recording is exact all the same"),
	}
}
