package tui

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

func TestApplyingAsksAndStandsOnCancel(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup []string
		key   string
		did   string
		yes   []string
	}{
		{"hold", []string{"a"}, "H", "hold false", []string{"tab", "enter"}},
		{"automatic hold", []string{"a"}, "A", "hold true", []string{"right", "enter"}},
		{"cross", []string{"a"}, "c", "cross 1m0s", []string{"l", "enter"}},
		{"inject", []string{"a"}, "I", "inject", []string{"i", "n", "j", "e", "c", "t", "enter"}},
		{"hold running", []string{"a"}, "V", "hold running", []string{"tab", "enter"}},
		{"seal", []string{"a"}, "S", "seal", []string{"s", "e", "a", "l", "enter"}},
		{"reload", nil, "L", "reload", []string{"tab", "enter"}},
		{"boot again", nil, "b", "reboot", []string{"tab", "enter"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, refuse := range [][]string{{"enter"}, {"esc"}, {"q"}, {"y"}, {"tab", "tab", "enter"}} {
				d, w := openDemo(t)
				d.keys(c.setup...)
				d.keys(c.key)
				d.keys(refuse...)
				d.keys("esc")
				if slices.Contains(w.log(), c.did) {
					t.Errorf("%v did it: %v", refuse, w.log())
				}
			}
			d, w := openDemo(t)
			d.keys(c.setup...)
			d.keys(c.key)
			d.wants("[Cancel]")
			d.keys(c.yes...)
			if !slices.Contains(w.log(), c.did) {
				t.Errorf("%v did not do it: %v", c.yes, w.log())
			}
		})
	}
}

func TestATypedWordMustBeWhole(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "I", "i", "n", "j", "tab", "enter")
	if len(d.m.dialogs) != 1 || slices.Contains(w.log(), "inject") {
		t.Errorf("half a word: %d dialogs, did %v", len(d.m.dialogs), w.log())
	}
	d.wants("esc cancels") // and enter does not: the letters to come would be commands
	d.keys("e", "c", "t", "x", "enter")
	d.wants("esc cancels")
	d.keys("ctrl+h")
	d.wants("[Inject]")
	d.send(tea.PasteMsg{Content: "inject"})
	d.keys("ctrl+u")
	d.send(tea.PasteMsg{Content: "inject"})
	d.wants("[Cancel]") // the word is typed, not pasted
}

func TestABlockedApplyCannotBeConfirmed(t *testing.T) {
	d, w := openDemo(t)
	w.checks = append(w.checks, apply.Check{Title: "a thread sleeps in a removed call", Found: "poll in 4242", Why: "it would fail when it wakes", Remedy: "keep poll in run", Level: apply.Block})
	d.keys("a", "I")
	d.wants("cannot be done now", "BLOCKS", "a thread sleeps", "remedy: keep poll in run", "[Close]")
	d.keys("i", "n", "j", "e", "c", "t", "tab", "enter", "I", "tab", "right", "l", "enter")
	if slices.Contains(w.log(), "inject") {
		t.Errorf("it was done all the same: %v", w.log())
	}
}

// What opens by itself must not take the keys that were meant for what was
// there before.
func TestADialogThatOpensByItselfWaitsForAQuietKeyboard(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a")
	d.m.open(&confirm{title: "sudden", yes: "Do it", then: func(*model) tea.Cmd { w.note("sudden"); return nil }}, true)
	for range 20 {
		d.clock.advance(100 * time.Millisecond)
		d.send(press("tab"))
		d.send(press("enter"))
	}
	if len(d.m.dialogs) != 1 || slices.Contains(w.log(), "sudden") {
		t.Fatalf("it took keys: %v", w.log())
	}
	d.clock.advance(quiet)
	d.send(press("tab"))
	d.send(press("enter"))
	if !slices.Contains(w.log(), "sudden") {
		t.Error("it does not listen once the keyboard was quiet")
	}
}

func TestProofIsShown(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "I", "i", "n", "j", "e", "c", "t", "enter")
	d.wants("Injected: proved", "Proved: 7 threads of 3 processes", "The filter is in 3 processes")
	d.keys("enter", "P")
	d.wants("NOT PROVED", "without a filter: [77]")
	d.keys("esc")
	w.fail = errors.New("inject into 4242: the process is traced")
	d.keys("I", "i", "n", "j", "e", "c", "t", "enter")
	d.wants("inject did not work", "the process is traced")
}

func TestTheScreenForetellsWhatReloadMeets(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "L")
	d.wants("Nothing is denied at present")
	d.keys("esc")
	w.Edit(policy.Edit{At: d.clock.now(), Op: policy.OpDeny, Call: call("rename"), Phase: policy.Run})
	w.set(func(s *bench.State) { s.Applied = bench.HoldDeny })
	d.tick(10)
	d.keys("L")
	d.wants("Foretold: it will fail", "rename")
	d.keys("tab", "enter")
	d.wants("The answer", "500: rename: operation not permitted")
	// A new boot has never seen the request; what it needs is still known.
	d.keys("esc", "b", "tab", "enter")
	if w.next == nil {
		t.Fatalf("not booted again: %v", w.log())
	}
	d.m.snap.reload = reloadNeeds{}
	d.m.snap.state.Applied = bench.Sealed
	d.keys()
	d.m.do(actReload)
	d.wants("Foretold")
}

func TestTheFilterInPlaceForetells(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a")
	sp, _ := w.s.Split()
	in := w.s.Policy(sp)
	w.set(func(s *bench.State) { s.Applied, s.InPlace = bench.HoldDeny, &in })
	d.tick(10)
	d.keys("L")
	d.wants("Foretold: it will be answered")
	d.keys("esc")
	// What the sets take on later is not in the filter that stands.
	w.Edit(policy.Edit{At: d.clock.now(), Op: policy.OpAllow, Call: call("mount"), Phase: policy.Run})
	d.tick(10)
	d.keys("S")
	d.tick(10)
	d.wants("The filter in place allows", "removes all the same: mount")
	d.keys("esc")
	// A request that failed is no proof that another is answered.
	w.s.AddMark(session.Mark{At: w.s.Length(), Kind: session.MarkUser, Text: bench.ReloadMark})
	w.s.AddMark(session.Mark{At: w.s.Length(), Kind: session.MarkUser, Text: bench.ReloadFailed + "500: mkdirat was refused"})
	narrower := policy.Derive(nil, nil)
	w.set(func(s *bench.State) { s.InPlace = &narrower })
	d.tick(10)
	if len(d.m.snap.reload.calls) == 0 || d.m.snap.reload.failed == "" {
		t.Fatalf("of an answered request and one that failed later: %+v", d.m.snap.reload)
	}
	d.keys("L")
	d.wants("Foretold: it will fail. When it was last answered", "the filter in place does not allow")
	d.keys("esc")
	d.m.snap.reload.calls, d.m.needs = nil, nil
	d.m.do(actReload)
	d.keys()
	d.wants("Foretold: it will fail, unless", "500: mkdirat was refused")
}

func TestNothingIsTriedOnWhatHasEnded(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a")
	w.set(func(s *bench.State) { s.Ended, s.Applied = true, bench.HoldDeny })
	d.tick(10)
	for _, k := range []string{"d", "c", "z", "S", "I", "P", "L"} {
		d.keys(k)
		d.wants("the target has ended: b boots it again")
		if len(d.m.dialogs) > 0 {
			t.Errorf("%s opened a dialog", k)
		}
	}
	if lines := d.m.leaving(); len(lines) > 0 {
		t.Errorf("no hold stands on what has ended, yet quitting says %v", lines)
	}
}

func TestExportAndSave(t *testing.T) {
	d, w := openDemo(t)
	d.keys("x")
	d.wants("demo-boot.json")
	d.keys("right", "tab", "right")
	d.wants("demo-run.txt")
	d.keys("enter", "enter")
	if !slices.Contains(w.log(), "export demo-run.txt text run") {
		t.Errorf("did %v", w.log())
	}
	d.keys("s", "ctrl+u", "x", ".", "s", "enter")
	if !slices.Contains(w.log(), "save x.s") {
		t.Errorf("did %v", w.log())
	}
	d.keys("x", "tab", "tab", "ctrl+u", "enter") // no file name: it stays
	if len(d.m.dialogs) != 1 {
		t.Error("a form without a file name was closed")
	}
	d.keys("esc", "m", "h", "i", "enter")
	if !slices.Contains(w.log(), "mark hi") {
		t.Errorf("did %v", w.log())
	}
}

func TestReadOnly(t *testing.T) {
	b := newFakeBackend()
	d := drive(t, b, Options{Start: "demo", ReadOnly: true})
	d.tick(2)
	w := b.opened[0]
	d.keys("a")
	for _, b := range keymap() {
		if b.changes && b.where&inBench != 0 {
			d.keys(b.keys[0])
			d.wants("not with --readonly")
			if len(d.m.dialogs) > 0 {
				t.Errorf("%q opened a dialog", b.help)
			}
		}
	}
	for _, did := range w.log() {
		if did != "accept" {
			t.Errorf("did %q", did)
		}
	}
	d.wants("read only")
}

func TestDialogsFitEverySize(t *testing.T) {
	for w := 1; w <= 110; w += 12 {
		for h := 1; h <= 40; h += 4 {
			d, _ := openDemo(t)
			d.size(w, h)
			for _, k := range []string{"?", "esc", ":", "esc", "x", "tab", "esc", "m", "esc", "a", "I", "i", "esc", "H", "esc", "L", "esc", "v", "esc"} {
				d.keys(k)
				d.whole()
			}
		}
	}
}

func TestInputEditing(t *testing.T) {
	in := newInput("/var/lib/x")
	for _, k := range []string{"ctrl+w", "ctrl+w", "home", "right", "delete", "end", "backspace", "left"} {
		in.key(k, "")
	}
	in.insert("a\x1b\nb")
	if got := in.String(); got != "/ar/labi" {
		t.Errorf("got %q", got)
	}
	in = newInput("")
	in.insert(strings.Repeat("日", 5000))
	if len(in.text) > maxInput {
		t.Errorf("%d characters were taken", len(in.text))
	}
	for w := 1; w < 20; w++ {
		if got := width(in.draw(newDraw(false, nil), w)); got != w {
			t.Errorf("drawn %d wide in %d", got, w)
		}
	}
}
