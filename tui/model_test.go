package tui

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
	"speaker/tui/bench"
)

func TestPickerOpensFiltersAndTellsProblems(t *testing.T) {
	b := newFakeBackend()
	d := drive(t, b, Options{})
	d.wants("nginx:1.27", "redis-server", "podman: no socket")
	d.keys("/", "r", "e", "d", "i", "s", "enter")
	d.wants("cache", "1 of 3")
	d.keys("b") // it is not running: no question
	d.tick(2)
	if len(b.opened) != 1 || !b.opened[0].boot || b.opened[0].st.Item.Ref != "docker:cache" {
		t.Fatalf("opened %+v", b.opened)
	}
	d.wants("cache")
}

func TestPickerAsksBeforeARunningTargetIsBooted(t *testing.T) {
	b := newFakeBackend()
	d := drive(t, b, Options{})
	d.keys("j", "b")
	d.wants("web is running", "[Cancel]")
	d.keys("enter")
	if len(b.opened) != 0 {
		t.Fatal("it was booted")
	}
	d.keys("b", "tab", "enter")
	if len(b.opened) != 1 || !b.opened[0].boot {
		t.Fatal("it was not booted")
	}
}

func TestPickerTellsWhyATargetDoesNotOpen(t *testing.T) {
	b := newFakeBackend()
	b.watchErr = errors.New("watch docker:web: needs CAP_BPF")
	d := drive(t, b, Options{})
	d.keys("j", "enter")
	d.wants("needs CAP_BPF")
	d.keys("esc")
	d.wants("pick a target", "nginx")
}

func TestEscGoesBackAndNeverQuits(t *testing.T) {
	d, w := openDemo(t)
	d.keys("esc", "enter", "esc")
	if d.quit || w.closed != 0 {
		t.Fatal("esc quit")
	}
	d.keys("tab", "enter")
	if d.quit || w.closed != 1 {
		t.Fatalf("quit %v, closed %d", d.quit, w.closed)
	}
	d.wants("pick a target")
	d.keys("esc", "esc")
	if d.quit {
		t.Fatal("esc quit")
	}
	d.keys("q")
	if !d.quit {
		t.Fatal("q did not quit")
	}
}

func TestQuitAsksOnlyWhenThereIsSomethingToSay(t *testing.T) {
	d, w := openDemo(t)
	d.keys("q")
	if !d.quit || w.closed != 1 {
		t.Errorf("quit %v, closed %d", d.quit, w.closed)
	}
	for name, change := range map[string]func(*bench.State){
		"a hold":    func(s *bench.State) { s.Applied = bench.HoldDeny },
		"a command": func(s *bench.State) { s.Item.Engine, s.Ends = "run", true },
		"unsaved":   func(s *bench.State) { s.Unsaved = true },
		"in memory": func(s *bench.State) { s.Recording = "" },
		"disk full": func(s *bench.State) { s.RecordErr = "no space left on device" },
	} {
		for _, key := range []string{"q", "ctrl+c"} {
			d, w := openDemo(t)
			w.set(change)
			d.tick(1)
			d.keys(key)
			if d.quit {
				t.Errorf("%s: %s did not ask", name, key)
			}
			d.wants("Quit?", "[Cancel]")
			d.keys("ctrl+c")
			if !d.quit || w.closed != 1 {
				t.Errorf("%s: a second ctrl+c: quit %v, closed %d", name, d.quit, w.closed)
			}
		}
	}
}

func TestALongJobShowsAndCanBeCancelled(t *testing.T) {
	b := newFakeBackend()
	b.slow = make(chan struct{})
	d := drive(t, b, Options{})
	// Run the job on the side, as Bubble Tea does.
	cmd := d.m.watch("demo", "demo", true)
	done := make(chan tea.Msg, 1)
	go func() { done <- cmd() }()
	d.tick(5)
	d.wants("boot demo", "running for 0:00", "esc cancels")
	d.keys("enter", "q", "b") // for nobody
	d.keys("esc")
	d.wants("cancelling")
	d.send(<-done)
	d.wants("pick a target", "cancelled")
	if d.quit || len(b.opened) != 0 {
		t.Error("a key reached something behind the box")
	}
}

func TestSplitMovesAtOnceAndSettlesOnce(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a")
	before := d.m.snap.policy.Narrow().Len()
	for range 5 {
		d.clock.advance(50 * time.Millisecond)
		d.send(press("["))
		d.send(tick{})
	}
	d.wants("moving the split")
	if after := d.m.snap.policy.Narrow().Len(); after <= before {
		t.Errorf("run has %d calls after the split moved left, %d before", after, before)
	}
	if n := len(w.s.Splits()); n != 1 {
		t.Errorf("%d splits while it moves", n)
	}
	d.tick(8)
	if n := len(w.s.Splits()); n != 2 {
		t.Errorf("%d splits after it settled", n)
	}
	sp, _ := w.s.Split()
	if sp.At >= 2300*time.Millisecond || sp.At <= 0 {
		t.Errorf("split at %v", sp.At)
	}
	d.wants("split at " + offset(sp.At))
}

func TestSplitAndStopMarkByEveryKey(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "{", "{")
	d.tick(10)
	sp, _ := w.s.Split()
	if sp.Stop == 0 || sp.Stop >= w.s.Length() {
		t.Fatalf("stop mark at %v", sp.Stop)
	}
	d.wants("stop")
	d.keys("}", "}", "}", "}", "}")
	d.tick(10)
	if sp, _ = w.s.Split(); sp.Stop != 0 {
		t.Errorf("stop mark past the end is at %v", sp.Stop)
	}
	at := sp.At
	d.keys("t", "l", "l", "h")
	d.tick(10)
	if sp, _ = w.s.Split(); sp.At != at+fine {
		t.Errorf("split at %v, want %v", sp.At, at+fine)
	}
	d.keys("n")
	d.tick(10)
	if sp, _ = w.s.Split(); sp.At != 8*time.Second {
		t.Errorf("the next mark is at %v, want 8s", sp.At)
	}
	for range 300 { // no key moves it off the recording
		d.send(press("]"))
	}
	d.tick(10)
	if sp, _ = w.s.Split(); sp.At > w.s.Length() {
		t.Errorf("split at %v of %v", sp.At, w.s.Length())
	}
	d.keys("+", "+", "-", "[", "esc", "4", "G", "enter")
	d.tick(10)
	d.whole()
}

// The split stops before the stop mark, whatever moves it there: the stop stays.
func TestTheSplitStaysBeforeTheStop(t *testing.T) {
	d, w := openDemo(t)
	stop := 6 * time.Second
	w.s.AddMark(session.Mark{At: stop, Kind: session.MarkStop})
	w.s.AddSplit(session.Split{At: 5900 * time.Millisecond, Stop: stop, By: "user"})
	d.tick(10)
	d.keys("t", "n")
	d.wants("6.000s is not before the stop mark at 6.000s")
	d.keys("4", "g")
	for range 40 {
		if x, ok := d.m.marks.chosen(d.m.snap); !ok || x.at > stop {
			break
		}
		d.keys("j")
	}
	d.keys("enter")
	d.wants("is not before the stop mark at 6.000s")
	d.keys("t")
	for range 300 {
		d.send(press("]"))
	}
	d.tick(10)
	if sp, _ := w.s.Split(); sp.Stop != stop || sp.At >= stop || sp.At < 5900*time.Millisecond {
		t.Errorf("the split is at %v, and the stop at %v", sp.At, sp.Stop)
	}
	w.s.AddSplit(session.Split{At: stop - 300*time.Millisecond, Stop: stop})
	d.tick(10)
	d.wants("split 5.700s"+d.m.d.point, d.m.d.point+"stop 6.000s") // neither covers the other
	if c := w.s.Cost(session.Split{At: 5900 * time.Millisecond, Stop: stop}); c.After != nil {
		t.Errorf("what it costs at %v, behind the stop, is told", c.After.At)
	}
}

func TestEscLeavesAMovedSplit(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a")
	d.send(press("["))
	d.send(press("esc"))
	d.tick(10)
	if n := len(w.s.Splits()); n != 1 {
		t.Errorf("%d splits", n)
	}
}

func TestEditsAreMadeInOrder(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "/", "m", "k", "d", "i", "r", "enter")
	narrow := func() bool {
		sp, _ := w.s.Split()
		return w.s.Policy(sp).Narrow().Has(call("mkdir"))
	}
	d.keys("space")
	if !narrow() {
		t.Error("mkdir is not allowed")
	}
	d.wants("yes*")
	// Two presses before a new picture undo each other.
	d.send(press("space"))
	d.send(press("space"))
	if !narrow() {
		t.Error("two presses are one")
	}
	d.keys("u", "u", "u")
	if narrow() {
		t.Error("undo did not")
	}
	d.keys("U")
	if !narrow() {
		t.Error("redo did not")
	}
	d.keys("e")
	sp, _ := w.s.Split()
	if w.s.Policy(sp).Wide().Has(call("mkdir")) {
		t.Error("boot still may")
	}
	d.keys("i", "o")
	d.wants("filter /mkdir: 1 of ") // it hides rows: never cut off
	d.keys("esc")
	d.wants("stop out", "exec in")
	d.keys("r", ">", ">", "<", "v")
	d.whole()
}

func TestDryRunAndDenialsAreListed(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "d")
	d.wants("Dry run: run would deny", "execve", "helper", "4244", "3 times")
	w.set(func(s *bench.State) {
		s.Applied = bench.HoldDeny
		s.Denied = []trace.ProcRow{{Pid: 4245, Comm: "x", Nr: 83, Errno: 1, Count: 1}}
	})
	d.tick(2)
	d.wants("Denied since", "mkdir", "EPERM", "hold: run")
	d.keys("z")
	d.wants("undone")
}

func TestFileHasNoLiveKeys(t *testing.T) {
	w := newFakeWork(bench.Item{Name: "old", Engine: "docker"})
	w.st.Mode, w.st.Ended = bench.File, true
	d := drive(t, newFakeBackend(), Options{Work: w})
	d.tick(2)
	d.wants("saved session")
	for _, k := range []string{"d", "H", "c", "I", "S", "P", "L", "b"} {
		d.keys(k)
		if len(d.m.dialogs) != 0 {
			t.Errorf("%s opened a dialog", k)
		}
	}
	d.wants("saved session")
	d.keys("esc")
	if d.m.work == nil {
		t.Error("a file was left for a list")
	}
	d.keys("q")
	if !d.quit || w.closed != 1 {
		t.Errorf("quit %v, closed %d", d.quit, w.closed)
	}
	if did := w.log(); len(did) != 0 {
		t.Errorf("did %v", did)
	}
}

func TestEmptyRecording(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w := newFakeWork(bench.Item{Name: "new", Engine: "demo"})
	w.s = session.New(session.Meta{})
	d := drive(t, newFakeBackend(), Options{Work: w})
	for _, size := range goldenSizes {
		d.size(size.w, size.h)
		for _, k := range []string{"1", "2", "space", "e", "v", "3", "4", "enter", "5", "t", "h", "l", "n", "N", "[", "]", "{", "}", "+", "-", "a", "y", "esc"} {
			d.keys(k)
			d.whole()
			d.m.dialogs = nil
		}
	}
}

func TestResizeStorm(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d, _ := openDemo(t)
	r := rand.New(rand.NewPCG(1, 2))
	names := allKeys()
	for i := range 800 {
		d.send(tea.WindowSizeMsg{Width: r.IntN(260), Height: r.IntN(70)})
		if i%7 == 0 {
			d.tick(1)
		}
		if i%11 == 0 {
			if k := names[r.IntN(len(names))]; k != "q" && k != "ctrl+c" && k != "esc" {
				d.keys(k)
			}
		}
		d.whole()
	}
}

// allKeys are the keys of the key map, and some that are bound to nothing.
func allKeys() []string {
	var out []string
	for _, b := range keymap() {
		out = append(out, b.keys...)
	}
	slices.Sort(out)
	return append(slices.Compact(out), "backspace", "delete", "w", "ctrl+h", "ctrl+w", "ctrl+u", "日")
}

// Any keys, sizes and pastes in any order: no panic, the screen keeps its
// shape, and nothing permanent is done without the typed word.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("abcdefgh"), false)
	f.Add([]byte{0, 1, 2, 250, 80, 24, 3, 4, 251, 5, 6}, true)
	f.Add([]byte("zZ09!?/:xXsS\x10\x20\x30\x40\x50"), false)
	f.Setenv("TMPDIR", f.TempDir()) // for what is copied
	names := allKeys()
	f.Fuzz(func(t *testing.T, in []byte, picker bool) {
		b := newFakeBackend()
		o := Options{Start: "demo"}
		if picker {
			o.Start = ""
		}
		d := drive(t, b, o)
		var pressed []string
		for i := 0; i < len(in) && i < 200 && !d.quit; i++ {
			key := names[int(in[i])%len(names)]
			switch c := in[i]; {
			case c == 250 && i+2 < len(in):
				d.size(int(in[i+1]), int(in[i+2]))
				i += 2
			case c == 251:
				d.send(tea.PasteMsg{Content: string(in[i:])})
			case c == 252:
				d.tick(6)
			case c == 253 && i+1 < len(in): // no pause before it
				i++
				key = names[int(in[i])%len(names)]
				d.send(press(key))
				pressed = append(pressed, key)
			default:
				d.keys(key)
				pressed = append(pressed, key)
			}
			d.whole()
		}
		for _, w := range b.opened {
			for ; w != nil; w = w.next {
				for _, did := range w.log() {
					if (did == "inject" || did == "seal") && !typed(pressed, did) {
						t.Fatalf("%s was done without its word: %v", did, pressed)
					}
				}
			}
		}
	})
}

// typed reports whether the letters of a word were pressed in its order.
func typed(pressed []string, word string) bool {
	for _, k := range pressed {
		if word != "" && k == word[:1] {
			word = word[1:]
		}
	}
	return word == ""
}

func TestCopy(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d, _ := openDemo(t)
	d.keys("a", "r", "G", "y")
	d.wants("copied to the clipboard and to")
	files, err := filepath.Glob(filepath.Join(os.TempDir(), "speaker-copy-*.txt"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || !strings.HasPrefix(string(text), "wait4 ") || strings.Count(string(text), "\n") != 1 {
		t.Errorf("copied %q, %v", text, err)
	}
	if i, _ := os.Stat(files[0]); i.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", i.Mode())
	}
	for _, pane := range []string{"1", "3", "4", "5"} {
		d.keys(pane, "Y", "y")
		d.wants("copied")
	}
	files, _ = filepath.Glob(filepath.Join(os.TempDir(), "speaker-copy-*.txt"))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		if len(text) == 0 || strings.ContainsAny(string(text), "\x1b\x07") || strings.Contains(string(text), "\u202e") {
			t.Errorf("%s holds %q", f, text)
		}
	}
}

func TestSnapshotsOfAnOldWorkAreDropped(t *testing.T) {
	d, _ := openDemo(t)
	old := d.m.take()
	d.m.setWork(newFakeWork(bench.Item{Name: "other", Engine: "docker"}))
	d.send(old())
	if d.m.snap != nil {
		t.Error("a picture of the old work is shown for the new one")
	}
}

func TestSnapshotIsSlowToRepeatWhatIsCostly(t *testing.T) {
	w := newFakeWork(bench.Item{Name: "demo", Engine: "demo"})
	now := newClock()
	first := take(w, wish{columns: 10}, now.now())
	w.s.AddEdit(policy.Edit{At: now.now(), Op: policy.OpAllow, Call: call("ptrace"), Phase: policy.Run})
	soon := take(w, wish{columns: 10, old: first}, now.now().Add(frame))
	if soon.edits != 0 {
		t.Error("made anew at once, though not asked to")
	}
	forced := take(w, wish{columns: 10, old: first, fresh: true}, now.now().Add(frame))
	if forced.edits != 1 {
		t.Error("not made anew, though asked to")
	}
	for range 10 {
		now.advance(frame)
		soon = take(w, wish{columns: 10, old: soon}, now.now())
	}
	if soon.edits != 1 {
		t.Error("put off for ever")
	}
}

func TestBeforeASplitNothingIsSaidOfRun(t *testing.T) {
	w := newFakeWork(bench.Item{Name: "new", Engine: "demo"})
	w.s = session.New(session.Meta{})
	if err := w.s.AddEpoch(session.Epoch{End: time.Second, Rows: []session.Row{
		{Group: trace.Main, Call: call("mkdir"), Count: 1, First: time.Millisecond, Last: time.Millisecond}}}); err != nil {
		t.Fatal(err)
	}
	d := drive(t, newFakeBackend(), Options{Work: w})
	d.tick(2)
	d.wants("all boot until there is a split", "mkdir                yes  ? ", "exit                 yes  yes")
	d.keys("3")
	d.wants("No split yet")
}

func TestNothingToSnapTo(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "t")
	for range len(w.s.Marks()) + 100 {
		d.keys("n")
	}
	d.wants("no mark and no new call after", "N goes back")
	d.tick(10)
	sp, _ := w.s.Split()
	d.keys("N")
	d.tick(10)
	if back, _ := w.s.Split(); back.At >= sp.At {
		t.Errorf("N from %v leads to %v", sp.At, back.At)
	}
}

func TestOffset(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0.000s": 499 * time.Microsecond, "0.001s": 500 * time.Microsecond, "-0.001s": -700 * time.Microsecond, "0.000s ": -400 * time.Microsecond,
		"2.562s": 2561600 * time.Microsecond, "1:00.0": time.Minute - 200*time.Microsecond, "3:05.3": 185*time.Second + 250*time.Millisecond,
		"1:00:00": time.Hour - 20*time.Millisecond, "1:02:03": time.Hour + 123*time.Second,
	} {
		if got := offset(d); got != strings.TrimSpace(want) {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
