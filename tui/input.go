package tui

import "slices"

// input is one line that is being typed.
type input struct {
	text []rune
	pos  int
}

func newInput(s string) input { r := []rune(s); return input{r, len(r)} }

func (in *input) String() string { return string(in.text) }

// maxInput bounds what a paste can put into a line.
const maxInput = 1024

// key takes a key press: its name, and the text it types. It reports whether
// the key was one for a line of text. Backspace is dead in some terminals, so
// ctrl+h and ctrl+w do as well.
func (in *input) key(name, text string) bool {
	switch name {
	case "backspace", "ctrl+h":
		if in.pos > 0 {
			in.text = slices.Delete(in.text, in.pos-1, in.pos)
			in.pos--
		}
	case "delete", "ctrl+d":
		if in.pos < len(in.text) {
			in.text = slices.Delete(in.text, in.pos, in.pos+1)
		}
	case "left", "ctrl+b":
		in.pos = max(0, in.pos-1)
	case "right", "ctrl+f":
		in.pos = min(len(in.text), in.pos+1)
	case "home", "ctrl+a":
		in.pos = 0
	case "end", "ctrl+e":
		in.pos = len(in.text)
	case "ctrl+u":
		in.text, in.pos = slices.Delete(in.text, 0, in.pos), 0
	case "ctrl+w":
		from := in.pos
		for from > 0 && in.text[from-1] == ' ' {
			from--
		}
		for from > 0 && in.text[from-1] != ' ' && in.text[from-1] != '/' {
			from--
		}
		if from == in.pos {
			from = max(0, in.pos-1)
		}
		in.text, in.pos = slices.Delete(in.text, from, in.pos), from
	default:
		if text == "" {
			return false
		}
		in.insert(text)
	}
	return true
}

// insert types or pastes text; line breaks and control characters are left out.
func (in *input) insert(text string) {
	for _, r := range text {
		if r < 0x20 || r == 0x7f || len(in.text) >= maxInput {
			continue
		}
		in.text = slices.Insert(in.text, in.pos, r)
		in.pos++
	}
}

// draw shows the line in w cells with a cursor, the part around it if it is
// long.
func (in *input) draw(d *draw, w int) string {
	before := d.clean(string(in.text[:in.pos]))
	at, after := " ", ""
	if in.pos < len(in.text) {
		at = d.clean(string(in.text[in.pos : in.pos+1]))
		after = d.clean(string(in.text[in.pos+1:]))
	}
	for r := []rune(before); width(before)+width(at) > w && len(r) > 0; {
		r = r[1:]
		before = string(r)
	}
	return fit(before+d.cursorCell.Render(at)+after, w)
}
