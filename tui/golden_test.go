package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"speaker/tui/bench"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a picture with its file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at it, and write it anew with -update:\n%s", path, diff(string(want), got))
	}
}

func diff(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out strings.Builder
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			fmt.Fprintf(&out, "%3d want %q\n     got %q\n", i+1, x, y)
		}
	}
	return out.String()
}

var goldenSizes = []struct{ w, h int }{{80, 24}, {60, 20}, {120, 36}, {200, 50}, {40, 10}, {20, 5}}

func TestScreens(t *testing.T) {
	screens := []struct {
		name string
		keys []string
	}{
		{"sets", nil},
		{"live", []string{"1"}},
		{"accepted-test", []string{"a", "3"}},
		{"marks", []string{"4"}},
		{"log", []string{"5"}},
		{"timeline", []string{"a", "t", "h", "h"}},
		{"help", []string{"?"}},
		{"evidence", []string{"D"}},
		{"ready-dialog", []string{"W"}},
		{"hold-dialog", []string{"a", "H"}},
		{"inject-dialog", []string{"a", "I"}},
		{"export-dialog", []string{"x"}},
		{"palette", []string{":"}},
		{"reload-dialog", []string{"a", "c", "tab", "enter", "L"}},
	}
	for _, size := range goldenSizes {
		for _, s := range screens {
			name := fmt.Sprintf("%s-%dx%d", s.name, size.w, size.h)
			t.Run(name, func(t *testing.T) {
				d, _ := openDemo(t)
				d.size(size.w, size.h)
				d.keys(s.keys...)
				d.tick(70) // until messages are gone
				d.whole()
				golden(t, name, d.picture())
			})
		}
		name := fmt.Sprintf("picker-%dx%d", size.w, size.h)
		t.Run(name, func(t *testing.T) {
			d := drive(t, newFakeBackend(), Options{})
			d.size(size.w, size.h)
			d.keys("j") // onto one that runs
			d.whole()
			golden(t, name, d.picture())
		})
	}
}

func TestScreenASCII(t *testing.T) {
	d := drive(t, newFakeBackend(), Options{Start: "demo", ASCII: true})
	d.size(80, 24)
	for _, pane := range []string{"1", "2", "3", "4", "5", "?"} {
		d.keys(pane)
		d.tick(70)
		d.whole()
		for _, c := range d.picture() {
			if c > 0x7e {
				t.Fatalf("pane %s shows %q with --ascii:\n%s", pane, c, d.picture())
			}
		}
	}
	d.keys("esc", "4")
	d.tick(70)
	golden(t, "ascii-80x24", d.picture())
}

// looks writes, below each row of a screen, a letter for the look of each cell.
func looks(rows []string) string {
	var out strings.Builder
	for _, r := range rows {
		text := strings.TrimRight(ansi.Strip(r), " ")
		out.WriteString(text + "\n")
		style, line := byte(' '), ""
		for len(r) > 0 {
			seq, w, n, _ := ansi.DecodeSequenceWc(r, ansi.NormalState, nil)
			if w == 0 {
				style = lookLetter(seq)
			}
			line += strings.Repeat(string(style), w)
			r = r[n:]
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return out.String()
}

func lookLetter(seq string) byte {
	parts := strings.Split(strings.Trim(seq, "\x1b[m"), ";")
	letter := byte(' ')
	for _, p := range parts {
		switch p {
		case "1":
			letter = 'b'
		case "2":
			letter = 'f'
		case "7":
			return 'R'
		case "31", "32", "33", "34", "35", "36":
			letter = "rgyumc"[p[1]-'1']
		}
	}
	return letter
}

func TestScreenLooks(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a")
	w.set(func(s *bench.State) { s.Lost.Table = 5 })
	d.tick(70)
	golden(t, "looks-80x24", looks(d.m.screen()))
}
