package tui

import (
	tea "charm.land/bubbletea/v2"
)

// confirm asks before something is done. It stands on Cancel. With a word, the
// word must be typed; with no yes it only tells why it cannot be.
type confirm struct {
	title string
	lines []line
	yes   string // the other button; "" for none
	word  string // what must be typed; "" for nothing
	then  func(m *model) tea.Cmd

	typed  input
	onYes  bool
	scroll list
}

func (c *confirm) ready() bool { return c.word == "" || c.typed.String() == c.word }

// begun reports a word that is not whole yet. Enter then does nothing: closing
// would make commands of the letters that are still to come.
func (c *confirm) begun() bool { return c.typed.String() != "" && !c.ready() }

func (c *confirm) key(name, text string) answer {
	switch name {
	case "esc":
		return answer{close: true}
	case "enter":
		if c.onYes && c.yes != "" && c.ready() {
			return answer{close: true, then: c.then}
		}
		if c.onYes || c.begun() {
			return answer{}
		}
		return answer{close: true}
	case "tab", "shift+tab":
		c.onYes = !c.onYes && c.yes != "" && c.ready()
		return answer{}
	case "left", "right":
		c.onYes = name == "right" && c.yes != "" && c.ready()
		return answer{}
	}
	if a := textKey(name, c.word != ""); a != doNothing {
		c.scroll.scroll(a)
		return answer{}
	}
	if c.word != "" && c.yes != "" && c.typed.key(name, text) {
		c.onYes = c.ready() // the typed word is the confirmation
		return answer{}
	}
	switch name {
	case "h", "l":
		c.onYes = name == "l" && c.yes != "" && c.ready()
	case "q":
		return answer{close: true}
	}
	return answer{}
}

// paste is not taken: a word is to be typed by hand.
func (c *confirm) draw(d *draw, w, h int) (string, []string, string) {
	room := h
	if c.word != "" && c.yes != "" {
		room--
	}
	var rows []string
	if room > 0 {
		rows = d.window(d.fold(c.lines, w), &c.scroll, w, room)
	}
	if c.word != "" && c.yes != "" {
		ask := "type " + c.word + ": "
		rows = append(rows, fit(d.strong.Render(ask)+c.typed.draw(d, max(1, w-width(ask))), w))
	}
	labels, focus := []string{"Cancel"}, 0
	if c.yes == "" {
		labels = []string{"Close"}
	} else {
		labels = append(labels, c.yes)
		switch {
		case c.onYes:
			focus = 1
		case c.begun():
			focus = -1
			labels[0] = "esc cancels"
		}
	}
	return c.title, rows, d.buttons(labels, focus, c.scroll.more())
}

// textKey turns a key into a movement in a text. While letters are being typed
// they do not move.
func textKey(name string, typing bool) action {
	switch name {
	case "up":
		return actUp
	case "down":
		return actDown
	case "pgup":
		return actPageUp
	case "pgdown":
		return actPageDown
	case "home":
		return actTop
	case "end":
		return actBottom
	}
	if typing {
		return doNothing
	}
	switch name {
	case "k":
		return actUp
	case "j":
		return actDown
	case "g":
		return actTop
	case "G":
		return actBottom
	case "space", "ctrl+f":
		return actPageDown
	case "ctrl+b":
		return actPageUp
	}
	return doNothing
}

// notice tells something and is closed.
type notice struct {
	title  string
	lines  []line
	scroll list
}

func (n *notice) key(name, _ string) answer {
	if a := textKey(name, false); a != doNothing {
		n.scroll.scroll(a)
		return answer{}
	}
	switch name {
	case "esc", "enter", "q", "?":
		return answer{close: true}
	}
	return answer{}
}

func (n *notice) draw(d *draw, w, h int) (string, []string, string) {
	rows := d.window(d.fold(n.lines, w), &n.scroll, w, max(1, h))
	return n.title, rows, d.buttons([]string{"Close"}, 0, n.scroll.more())
}
