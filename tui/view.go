package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// View implements tea.Model. It draws what Update has left, and nothing else.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.screen(), "\n"))
	v.AltScreen = true
	v.MouseMode = tea.MouseModeNone
	return v
}

// screen draws all rows, each exactly as wide as the screen.
func (m *model) screen() []string {
	var rows []string
	l := arrange(m.w, m.h)
	if m.work == nil {
		l = arrangePicker(m.w, m.h)
		rows = m.pickerScreen(l)
	} else {
		rows = m.benchScreen(l)
	}
	switch {
	case m.busyShown():
		m.d.boxed(&waiting{m.busy, m.now()}, rows, l.body())
	case len(m.dialogs) > 0:
		m.d.boxed(m.dialogs[len(m.dialogs)-1].dialog, rows, l.body())
	}
	return rows
}

func (m *model) pickerScreen(l layout) []string {
	fields := []field{{long: "speaker: pick a target", short: "speaker"}}
	if m.picker.asking {
		fields = append(fields, field{long: "looking " + m.spin(), short: m.spin(), rank: 1})
	}
	if m.opt.ReadOnly {
		fields = append(fields, field{long: "read only", short: "ro", rank: 2})
	}
	rows := []string{m.d.row(fields, l.w)}
	rows = append(rows, m.picker.draw(m.d, l.pane)...)
	if l.hint.h > 0 {
		rows = append(rows, m.hint(l.w))
	}
	return rows
}

func (m *model) benchScreen(l layout) []string {
	d, n := m.d, m.snap
	if n == nil {
		rows := []string{d.row([]field{{long: "opening " + m.spin()}}, l.w)}
		for len(rows) < l.h {
			rows = append(rows, strings.Repeat(" ", l.w))
		}
		return rows
	}
	rows := d.statusBar(n, m.opt.ReadOnly, l.status)
	rows = append(rows, d.timeline(n, l.timeline, m.chosen, m.focus == timelineID)...)
	rows = append(rows, d.proposalLines(n, l.proposal)...)
	if l.tabs.h > 0 {
		rows = append(rows, m.tabs(l.w))
	}
	rows = append(rows, m.panes(l)...)
	if l.hint.h > 0 {
		rows = append(rows, m.hint(l.w))
	}
	return rows
}

// shown is the pane on screen.
func (m *model) shown() paneID {
	if m.focus == timelineID {
		return m.last
	}
	return m.focus
}

// beside is the pane that a wide screen shows next to it.
func (m *model) beside() paneID {
	if m.shown() == liveID {
		return setsID
	}
	return liveID
}

func (m *model) panes(l layout) []string {
	out := m.pane(m.shown(), l.pane, m.focus != timelineID)
	if l.side.w == 0 {
		return out
	}
	side := m.pane(m.beside(), l.side, false)
	for i := range out {
		out[i] += m.d.dim.Render(m.d.v) + side[i]
	}
	return out
}

func (m *model) pane(id paneID, to rect, focused bool) []string {
	d, n := m.d, m.snap
	switch id {
	case liveID:
		return m.live.draw(d, n, to, focused)
	case setsID:
		return m.sets.draw(d, n, to, focused)
	case testID:
		return m.try.draw(d, n, m.reloaded, to, focused)
	case marksID:
		return m.marks.draw(d, n, to, focused)
	}
	return m.log.draw(d, n, to, focused)
}

// tabs draws the names of the panes, with what each has to tell.
func (m *model) tabs(w int) string {
	d := m.d
	for _, name := range []func(paneID) string{paneID.title, paneID.shortTitle, m.onlyShown} {
		out := ""
		for id := liveID; id < panes; id++ {
			text := fmt.Sprint(int(id))
			if n := name(id); n != "" {
				text += " " + n + m.badge(id)
			}
			switch {
			case id == m.shown() && m.focus == timelineID:
				out += d.strong.Render("[" + text + "]")
			case id == m.shown():
				out += d.tabOn.Render("[" + text + "]")
			default:
				out += d.tab.Render(" " + text + " ")
			}
		}
		if width(out) <= w {
			return fit(out, w)
		}
	}
	return fit(fmt.Sprintf("[%d]", m.shown()), w)
}

// onlyShown names the pane on screen, and no other.
func (m *model) onlyShown(id paneID) string {
	if id == m.shown() {
		return id.shortTitle()
	}
	return ""
}

// badge is what a tab tells of its pane: rows of a dry run, denials, warnings.
func (m *model) badge(id paneID) string {
	s := m.snap.state
	switch {
	case id == liveID && m.live.paused:
		return " (paused)"
	case id == setsID && m.snap.standing != noSplit:
		return fmt.Sprintf(" -%d", len(m.snap.removed()))
	case id == testID && len(s.Denied) > 0:
		return fmt.Sprintf(" !%d", len(s.Denied))
	case id == testID && s.DryRun:
		return fmt.Sprintf(" ~%d", wouldFail(s))
	case id == logID && len(m.snap.gaps)+len(m.snap.warnings)+len(s.Problems) > 0:
		return fmt.Sprintf(" !%d", len(m.snap.gaps)+len(m.snap.warnings)+len(s.Problems))
	}
	return ""
}

// toastFor is how long a message stays.
const toastFor = 6 * time.Second

// hint is the last row: the filter that is typed, a message, or the keys.
func (m *model) hint(w int) string {
	d := m.d
	if m.typing != nil {
		return fit(d.strong.Render("/")+m.typing.draw(d, max(1, w-1)), w)
	}
	if m.toast.text != "" && m.now().Sub(m.toast.at) < toastFor {
		return d.as(m.toast.look).Render(fit(short(" "+d.clean(m.toast.text), w, d.dots), w))
	}
	return fit(m.keyHints(w), w)
}

// keyHints names the keys that matter here, as many as fit; help always does.
func (m *model) keyHints(w int) string {
	d := m.d
	var show []binding
	for _, b := range d.keys {
		if b.hint != "" && b.where&m.at() != 0 && b.act != actHelp && b.act != actQuit && m.useful(b) {
			show = append(show, b)
		}
	}
	room := w - width("? help q quit")
	out := ""
	for _, b := range show {
		text := b.keys[0] + " " + b.hint
		if room < width(text)+2 {
			continue
		}
		room -= width(text) + 2
		out += d.key.Render(b.keys[0]) + d.dim.Render(" "+b.hint) + "  "
	}
	return out + d.key.Render("?") + d.dim.Render(" help ") + d.key.Render("q") + d.dim.Render(" quit")
}

func (m *model) spin() string { return m.d.glyphs.spin[m.d.blink%len(m.d.glyphs.spin)] }

// waiting is the box of a job that takes its time.
type waiting struct {
	r   *running
	now time.Time
}

func (*waiting) key(string, string) answer { return answer{} }

func (b *waiting) draw(d *draw, w, _ int) (string, []string, string) {
	spin := d.glyphs.spin[d.blink%len(d.glyphs.spin)]
	foot := "esc cancels"
	if b.r.cancelled {
		foot = "cancelling; waiting for it to end safely"
	}
	return d.clean(b.r.title), []string{spin + " running for " + elapsed(b.now.Sub(b.r.since))}, d.dim.Render(short(foot, w, ""))
}
