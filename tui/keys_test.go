package tui

import (
	"slices"
	"strings"
	"testing"
)

// places are the single places in which keys are looked up.
var places = map[string]where{"picker": inPicker, "live": inLive, "sets": inSets, "test": inTest, "marks": inMarks, "log": inLog, "timeline": inTimeline}

func TestNoKeyMeansTwoThings(t *testing.T) {
	for place, at := range places {
		seen := map[string]binding{}
		for _, b := range keymap() {
			if b.where&at == 0 {
				continue
			}
			for _, k := range b.keys {
				if other, twice := seen[k]; twice {
					t.Errorf("in %s, %q is %q and %q", place, k, other.help, b.help)
				}
				seen[k] = b
			}
		}
	}
}

func TestEveryActionIsBoundOnceAndReachable(t *testing.T) {
	count := map[action]int{}
	for _, b := range keymap() {
		count[b.act]++
		if len(b.keys) == 0 || b.where == 0 || b.help == "" || b.group == "" {
			t.Errorf("binding %+v is not complete", b)
		}
		for _, at := range places {
			for _, k := range b.keys {
				if b.where&at != 0 && find(keymap(), at, k) != b.act {
					t.Errorf("%q does not reach %q", k, b.help)
				}
			}
		}
	}
	for a := doNothing + 1; a < actions; a++ {
		if count[a] != 1 {
			t.Errorf("action %d is bound %d times", a, count[a])
		}
	}
}

// Letters first: function keys and Backspace are dead in many terminals.
func TestEveryActionHasAKeyThatWorksEverywhere(t *testing.T) {
	for _, b := range keymap() {
		ok := slices.ContainsFunc(b.keys, func(k string) bool {
			return len(k) == 1 || slices.Contains([]string{"enter", "esc", "tab", "shift+tab", "space", "pgup", "pgdown"}, k)
		})
		if !ok {
			t.Errorf("%q has only %v", b.help, b.keys)
		}
	}
}

func TestHelpNamesEveryKeyOfAPlace(t *testing.T) {
	for place, at := range places {
		var text strings.Builder
		for _, l := range helpLines(keymap(), at, false) {
			text.WriteString(l.text + "\n")
		}
		for _, b := range keymap() {
			if b.where&at != 0 && (!strings.Contains(text.String(), b.keyNames()) || !strings.Contains(text.String(), b.help)) {
				t.Errorf("the help of %s does not have %v: %s", place, b.keys, b.help)
			}
		}
	}
}

func TestHelpIsNeverCutOff(t *testing.T) {
	for _, size := range goldenSizes {
		d, _ := openDemo(t)
		d.size(size.w, size.h)
		d.keys("?")
		var seen strings.Builder
		for range 1000 {
			seen.WriteString(d.picture())
			before := d.picture()
			d.send(press("j"))
			if d.picture() == before {
				break
			}
		}
		all := strings.Join(strings.Fields(strings.NewReplacer("│", " ", "|", " ").Replace(seen.String())), " ")
		for _, word := range []string{"Getting", "palette", "administrative", "overwritten", "recorded"} {
			inHelp := false
			for _, l := range helpLines(keymap(), inSets, false) {
				inHelp = inHelp || strings.Contains(l.text, word)
			}
			if inHelp && !strings.Contains(all, word) {
				t.Errorf("at %dx%d scrolling through the help does not show %q", size.w, size.h, word)
			}
		}
	}
}

func TestPaletteRunsWhatItFinds(t *testing.T) {
	d, w := openDemo(t)
	d.keys(":")
	for _, r := range "accept the" {
		d.keys(map[rune]string{' ': "space"}[r] + strings.TrimSpace(string(r)))
	}
	d.keys("enter")
	if !slices.Contains(w.log(), "accept") {
		t.Errorf("the palette did not accept: %v", w.log())
	}
}
