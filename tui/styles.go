package tui

import (
	"charm.land/lipgloss/v2"
)

// styles are all the looks there are. Only attributes and the sixteen colours
// of the terminal's own palette are used, so that light and dark terminals both
// keep their contrast, and no look carries a meaning that a word or a sign
// beside it does not.
type styles struct {
	status, statusBad       lipgloss.Style
	title, dim, strong      lipgloss.Style
	cursorCell, key         lipgloss.Style
	good, warn, bad         lipgloss.Style
	boot, run               lipgloss.Style
	split, stop, mark, bars lipgloss.Style
	tab, tabOn              lipgloss.Style
	box                     lipgloss.Style
}

func newStyles() styles {
	n := lipgloss.NewStyle
	return styles{
		status:     n().Reverse(true),
		statusBad:  n().Reverse(true).Bold(true).Foreground(lipgloss.Red),
		title:      n().Bold(true),
		dim:        n().Faint(true),
		strong:     n().Bold(true),
		cursorCell: n().Reverse(true),
		key:        n().Bold(true).Foreground(lipgloss.Cyan),
		good:       n().Foreground(lipgloss.Green),
		warn:       n().Foreground(lipgloss.Yellow),
		bad:        n().Bold(true).Foreground(lipgloss.Red),
		boot:       n().Foreground(lipgloss.Blue),
		run:        n().Foreground(lipgloss.Green),
		split:      n().Bold(true).Foreground(lipgloss.Magenta),
		stop:       n().Bold(true).Foreground(lipgloss.Red),
		mark:       n().Foreground(lipgloss.Cyan),
		bars:       n(),
		tab:        n().Faint(true),
		tabOn:      n().Bold(true).Reverse(true),
		box:        n(),
	}
}

// glyphs are the characters that are drawn with.
type glyphs struct {
	levels                 []string // of a bar, from lowest to full
	split, stop, proposed  string   // vertical lines on the timeline
	point                  string   // below the selected marker
	gap, dots, dot         string
	h, v, tl, tr, bl, br   string // a box
	spin                   []string
	up, down, cursor, none string
}

func newGlyphs(ascii bool) glyphs {
	if ascii {
		return glyphs{
			levels: []string{"_", ".", "-", "=", "+", "*", "%", "#"},
			split:  "|", stop: "!", proposed: ":", point: "^", gap: "?", dots: "...", dot: ".",
			h: "-", v: "|", tl: "+", tr: "+", bl: "+", br: "+",
			spin: []string{"|", "/", "-", "\\"}, up: "^", down: "v", cursor: ">", none: "-",
		}
	}
	return glyphs{
		levels: []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
		split:  "┃", stop: "╏", proposed: "┊", point: "▲", gap: "?", dots: "…", dot: "·",
		h: "─", v: "│", tl: "┌", tr: "┐", bl: "└", br: "┘",
		spin: []string{"|", "/", "-", "\\"}, up: "↑", down: "↓", cursor: "›", none: "–",
	}
}
