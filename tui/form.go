package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// form asks for texts and choices, and does something with them.
type form struct {
	title  string
	note   string
	fields []formField
	yes    string
	then   func(m *model, values []string) tea.Cmd
	// check, if any, says what is wrong with the values: then the form stays.
	check func(values []string) error
	// changed, if any, is called when a choice was made.
	changed func(fields []formField, which int)

	at    int    // the field in focus; len(fields) is the button
	wrong string // what check said
}

// formField is a text, or one of some choices.
type formField struct {
	label   string
	text    input
	edited  bool // by hand
	choices []string
	choice  int
}

func (f *formField) value() string {
	if f.choices != nil {
		return f.choices[f.choice]
	}
	return f.text.String()
}

func (f *form) key(name, text string) answer {
	switch name {
	case "esc":
		return answer{close: true}
	case "tab", "down":
		f.at = (f.at + 1) % (len(f.fields) + 1)
		return answer{}
	case "shift+tab", "up":
		f.at = (f.at + len(f.fields)) % (len(f.fields) + 1)
		return answer{}
	case "enter":
		if f.at < len(f.fields)-1 {
			f.at++
			return answer{}
		}
		return f.finish()
	}
	if f.at >= len(f.fields) {
		return answer{}
	}
	x := &f.fields[f.at]
	if x.choices == nil {
		x.edited = x.text.key(name, text) || x.edited
		return answer{}
	}
	step := 0
	switch name {
	case "left", "h":
		step = len(x.choices) - 1
	case "right", "l", "space":
		step = 1
	}
	x.choice = (x.choice + step) % len(x.choices)
	if f.changed != nil && step != 0 {
		f.changed(f.fields, f.at)
	}
	return answer{}
}

// finish closes the form with its values. A form with an empty text, or with what
// its check does not take, stays.
func (f *form) finish() answer {
	var values []string
	for i := range f.fields {
		v := strings.TrimSpace(f.fields[i].value())
		if v == "" {
			f.at = i
			return answer{}
		}
		values = append(values, v)
	}
	if f.check != nil {
		if err := f.check(values); err != nil {
			f.wrong = err.Error()
			return answer{}
		}
	}
	return answer{close: true, then: func(m *model) tea.Cmd { return f.then(m, values) }}
}

func (f *form) paste(text string) {
	if f.at < len(f.fields) && f.fields[f.at].choices == nil {
		f.fields[f.at].text.insert(text)
		f.fields[f.at].edited = true
	}
}

func (f *form) draw(d *draw, w, h int) (string, []string, string) {
	var out []string
	focusRow := 0
	for i := range f.fields {
		x := &f.fields[i]
		label := fit(x.label+":", 9)
		if i == f.at {
			label = d.strong.Render(label)
			focusRow = len(out)
		}
		switch {
		case x.choices != nil:
			out = append(out, label+d.choices(x.choices, x.choice, w-9))
		case i == f.at:
			out = append(out, label+x.text.draw(d, max(1, w-10)))
		default:
			out = append(out, label+short(d.clean(x.text.String()), w-10, d.dots))
		}
	}
	for _, x := range []struct {
		text  string
		style *lipgloss.Style
	}{{f.wrong, &d.warn}, {f.note, &d.dim}} {
		if x.text != "" && h > len(out) {
			for _, l := range wrap(d.clean(x.text), w, "") {
				out = append(out, x.style.Render(l))
			}
		}
	}
	if len(out) > h { // the field in focus stays
		from := max(0, focusRow-max(0, h-1))
		out = out[from:min(len(out), from+max(0, h))]
	}
	label := []string{f.yes, "esc cancels"}
	focus := -1
	if f.at >= len(f.fields)-1 {
		focus = 0
	}
	return f.title, out, d.buttons(label, focus, "")
}

// choices draws choices of which one is picked. Where not all of them have room,
// the first ones are left out until the picked one has.
func (d *draw) choices(list []string, picked, w int) string {
	from, more := 0, ""
	for from < picked && ansi.StringWidth(more+d.buttons(list[from:picked+1], picked-from, "")) > w {
		from++
		more = d.dots + " "
	}
	return more + d.buttons(list[from:], picked-from, "")
}
