package tui

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"speaker/tui/bench"
)

// run carries out a command and what follows from it.
func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil || d.quit {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.QuitMsg:
		d.quit = true
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	default:
		d.send(msg)
	}
}

func (d *driver) send(msg tea.Msg) {
	_, cmd := d.m.Update(msg)
	d.run(cmd)
}

// tick lets a tenth of a second pass, n times.
func (d *driver) tick(n int) {
	for range n {
		d.clock.advance(frame)
		d.send(tick{})
	}
}

// keys presses keys, named as in the key map, with a pause before each.
func (d *driver) keys(names ...string) {
	for _, n := range names {
		d.clock.advance(600 * time.Millisecond)
		d.send(press(n))
		d.tick(1)
	}
}

// press makes the message of a key.
func press(name string) tea.KeyPressMsg {
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd,
		"backspace": tea.KeyBackspace, "delete": tea.KeyDelete}
	switch {
	case name == "space":
		return tea.KeyPressMsg{Code: ' ', Text: " "}
	case name == "shift+tab":
		return tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	case strings.HasPrefix(name, "ctrl+"):
		return tea.KeyPressMsg{Code: rune(name[5]), Mod: tea.ModCtrl}
	case special[name] != 0:
		return tea.KeyPressMsg{Code: special[name]}
	}
	r, _ := utf8.DecodeRuneInString(name)
	return tea.KeyPressMsg{Code: r, Text: name}
}

func (d *driver) size(w, h int) {
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	d.tick(1)
}

// picture is the screen without looks.
func (d *driver) picture() string {
	rows := d.m.screen()
	for i, r := range rows {
		rows[i] = strings.TrimRight(ansi.Strip(r), " ")
	}
	return strings.Join(rows, "\n") + "\n"
}

// wants fails the test unless the screen shows all of the texts.
func (d *driver) wants(texts ...string) {
	d.t.Helper()
	p := d.picture()
	for _, x := range texts {
		if !strings.Contains(p, x) {
			d.t.Errorf("the screen does not show %q:\n%s", x, p)
		}
	}
}

// whole fails the test unless the screen is exactly as large as it should be,
// and holds nothing that a terminal would act on but looks.
func (d *driver) whole() {
	d.t.Helper()
	rows := d.m.screen()
	if len(rows) != max(1, d.m.h) {
		d.t.Fatalf("%d rows on a screen of %dx%d", len(rows), d.m.w, d.m.h)
	}
	for i, r := range rows {
		if w := width(r); w != max(1, d.m.w) {
			d.t.Fatalf("row %d is %d wide on a screen of %dx%d: %q", i, w, d.m.w, d.m.h, r)
		}
		for _, c := range ansi.Strip(r) {
			if c < 0x20 || c == 0x7f || !harmless(c) {
				d.t.Fatalf("row %d shows %U: %q", i, c, r)
			}
		}
	}
}

// bench opens the demo of a fake backend and gives the first snapshot time.
func openDemo(t testing.TB) (*driver, *fakeWork) {
	b := newFakeBackend()
	d := drive(t, b, Options{Start: "demo"})
	d.tick(2)
	if len(b.opened) != 1 || d.m.snap == nil {
		t.Fatal("the demo did not open")
	}
	return d, b.opened[0]
}

var _ bench.Backend = (*fakeBackend)(nil)
var _ bench.Work = (*fakeWork)(nil)
