package tui

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"speaker/session"
	"speaker/tui/bench"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want, ascii string }{
		{"plain", "nginx: worker", "nginx: worker", "nginx: worker"},
		{"escape sequence", "\x1b[2J\x1b]0;owned\x07", `\x1b[2J\x1b]0;owned\x07`, `\x1b[2J\x1b]0;owned\x07`},
		{"c1", "a\u009b2Jb", `a\x9b2Jb`, `a\x9b2Jb`},
		{"delete", "a\x7f", `a\x7f`, `a\x7f`},
		{"bidi", "exe\u202etxt.\u2066x\u2069", `exe\u202etxt.\u2066x\u2069`, `exe\u202etxt.\u2066x\u2069`},
		{"not utf-8", "a\xff\xfeb", `a\xff\xfeb`, `a\xff\xfeb`},
		{"zero width", "a\u200bb\u200db\ufeff", `a\u200bb\u200db\ufeff`, `a\u200bb\u200db\ufeff`},
		{"combining", "e\u0301", `e\u0301`, `e\u0301`},
		{"soft hyphen", "a\u00adb", `a\xadb`, `a\xadb`},
		{"no-break space", "a\u00a0b", `a\xa0b`, `a\xa0b`},
		{"line breaks", "a\nb\r\nc\td", `a b\x0d c d`, `a b\x0d c d`},
		{"line separator", "a\u2028b", `a\u2028b`, `a\u2028b`},
		{"private use", "\ue0b0", `\ue0b0`, `\ue0b0`},
		{"tag characters", "a\U000e0041", `a\U000e0041`, `a\U000e0041`},
		{"wide", "日本", "日本", `\u65e5\u672c`},
		{"latin", "wörker", "wörker", `w\xf6rker`},
		{"invisible letter", "a\u3164b", `a\u3164b`, `a\u3164b`},
		{"flag", "🇩🇪", `\U0001f1e9\U0001f1ea`, `\U0001f1e9\U0001f1ea`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clean(c.in, false); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := clean(c.in, true); got != c.ascii {
				t.Errorf("ascii: got %q, want %q", got, c.ascii)
			}
		})
	}
}

func TestCleanBoundsItsWork(t *testing.T) {
	if n := len(clean(strings.Repeat("\x1b", 10_000_000), false)); n > cleanMax+16 {
		t.Errorf("ten million escapes became %d bytes", n)
	}
	if n := len(clean(strings.Repeat("a", 10_000_000), false)); n > cleanMax+16 {
		t.Errorf("ten million letters became %d bytes", n)
	}
}

// Every character that is let through stands for itself, whatever stands beside
// it: it joins no other, and its width does not depend on them.
func TestHarmlessCharactersKeepToThemselves(t *testing.T) {
	sides := []string{"a", "\u0e22", "\uac00", "\u4e00", "\u0915", "\u05d0", "\U0001f468"}
	for r := rune(0x20); r <= utf8.MaxRune; r++ {
		if !harmless(r) {
			continue
		}
		s := string(r)
		for _, side := range append(sides, s) {
			first, _, _, _ := ansi.DecodeSequenceWc(side+s, ansi.NormalState, nil)
			second, _, _, _ := ansi.DecodeSequenceWc(s+side, ansi.NormalState, nil)
			if first != side || second != s || width(s+side) != width(s)+width(side) || width(s) < 1 || width(s) > 2 {
				t.Errorf("%U joins %q, or has a width of %d", r, side, width(s))
				break
			}
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b[31m", "日本\u202e", "\xff", "e\u0301", "한\u1160", "ไทย\u0e33", "🇩🇪👍🏽"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, ascii := range []bool{false, true} {
			x, y := clean(a, ascii), clean(b, ascii)
			for _, s := range []string{x, y} {
				if !utf8.ValidString(s) {
					t.Fatalf("not valid: %q", s)
				}
				for _, r := range s {
					if !harmless(r) || ascii && r > 0x7e {
						t.Fatalf("%U is left in %q", r, s)
					}
				}
			}
			// No character changes the width of another: columns stay straight.
			if width(x+y) != width(x)+width(y) {
				t.Fatalf("widths of %q and %q do not add up: %d, %d, %d", x, y, width(x), width(y), width(x+y))
			}
			for w := range 12 {
				if got := width(fit(x, w)); got != w {
					t.Fatalf("fit(%q, %d) is %d wide", x, w, got)
				}
				if got := width(short(x, w, "...")); got > w {
					t.Fatalf("short(%q, %d) is %d wide", x, w, got)
				}
				for _, l := range wrap(x, w, "  ") {
					if width(l) > max(w, 1) {
						t.Fatalf("wrap(%q, %d) has %q", x, w, l)
					}
				}
			}
		}
	})
}

// Hostile strings in every place where one can come from, on every pane and at
// every size: the screen keeps its shape and shows nothing that acts.
func TestHostileStringsEverywhere(t *testing.T) {
	evil := "\x1b[2J\x1b]52;c;AAAA\x07\u202e\u2066日本語\u0301\r\n\x00\xff" + strings.Repeat("W", 300)
	b := newFakeBackend()
	b.items = append(b.items, bench.Item{Ref: "docker:evil", Engine: evil, ID: evil, Name: evil, Image: evil, Command: evil, State: evil, Pid: 1, CanBoot: true})
	b.problems = []string{evil, evil}
	d := drive(t, b, Options{Start: "docker:evil"})
	d.tick(2)
	w := b.opened[0]
	w.set(func(s *bench.State) {
		s.Recording, s.RecordErr, s.Load, s.Problems = evil, evil, evil, []string{evil}
		s.Item.Engine = evil
	})
	w.checks[1].Found = evil
	w.s.AddMark(session.Mark{At: 1, Kind: evil, Comm: evil, Text: evil})
	w.s.AddTrial(session.Trial{At: 1, Kind: evil, Text: evil})
	w.s.AddSamples([]session.Sample{{At: 1, Comm: evil, Path: evil}})
	w.s.AddSplit(session.Split{At: 2e9, How: evil, By: evil, Confidence: evil, Evidence: []session.Evidence{{Text: evil}}})
	for _, size := range goldenSizes {
		d.size(size.w, size.h)
		for _, k := range []string{"1", "2", "v", "esc", "3", "4", "5", "t", "f", "esc", "I", "esc", "H", "esc", "b", "esc", "esc", "esc", "esc"} {
			d.keys(k)
			d.whole()
		}
	}
	d.keys("tab", "enter") // back to the list
	if d.m.work != nil {
		t.Fatal("still open")
	}
	for _, size := range goldenSizes {
		d.size(size.w, size.h)
		d.keys("j", "b", "esc", "G", "b")
		d.whole()
		d.keys("esc")
	}
}
