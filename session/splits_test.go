package session

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

func mustRule(t *testing.T, text string) Rule {
	t.Helper()
	r, err := ParseRule(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRulesReadBack(t *testing.T) {
	for text, want := range map[string]Rule{
		"2.5s":                        {Delay: 2500 * ms},
		"ready":                       {Nth: 1, Event: "ready"},
		"ready 80":                    {Nth: 1, Event: "ready", Text: "80"},
		" 2s  after exec /bin/a  b ":  {Delay: 2 * sec, Nth: 1, Event: "exec", Text: "/bin/a b"},
		"2nd listen-wait 5432":        {Nth: 2, Event: "listen-wait", Text: "5432"},
		"1m0s after 1st mark at last": {Delay: time.Minute, Nth: 1, Event: "mark", Text: "at last"},
		"call accept4":                {Nth: 1, Event: "call", Text: "accept4"},
		"drop":                        {Nth: 1, Event: "drop"},
	} {
		got := mustRule(t, text)
		if got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
		if again := mustRule(t, got.String()); again != got {
			t.Errorf("%q is written %q, which is %+v", text, got, again)
		}
	}
}

func TestRulesThatAreNone(t *testing.T) {
	for text, says := range map[string]string{
		"":                           "it is empty",
		"when port 80 answers":       `"when" is neither a time nor one of ready, listen`,
		"-2s":                        "no time that a recording can have",
		"900000h after ready":        "no time that a recording can have",
		"2s":                         "",
		"2s before ready":            `behind 2s comes "after"`,
		"2s after":                   `behind 2s comes "after"`,
		"0th ready":                  "0th of what?",
		"2nd":                        "2nd of what?",
		"5000th ready":               "5000th of what?",
		"call":                       "call wants the name of a call",
		"call nosuch":                "no such call",
		"2nd call read":              "only the first use",
		"\x1b[2J":                    `"\x1b[2J" is neither`,
		strings.Repeat("ready ", 40): "longer than",
	} {
		_, err := ParseRule(text)
		switch {
		case says == "" && err == nil:
		case err == nil || !strings.Contains(err.Error(), says) || strings.ContainsAny(err.Error(), "\n\x1b"):
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func FuzzParseRule(f *testing.F) {
	for _, text := range []string{"2.5s", "2s after 2nd ready tcp :80", "call i386:open", "1e3s", "after"} {
		f.Add(text)
	}
	s := script{news: until(sec, 100*ms), length: 2 * sec, marks: []Mark{waits(sec, 9, "web")}}.session(f)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRule(text)
		if err != nil {
			return
		}
		if again, err := ParseRule(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, and read back %+v, %v", text, r, again, err)
		}
		if sp, ok := s.Place(r); ok && (sp.At < 0 || sp.At > s.Length()) {
			t.Errorf("%q puts the split at %v", text, sp.At)
		}
	})
}

func TestWordsAreWhole(t *testing.T) {
	for _, c := range []struct {
		text, words string
		want        bool
	}{
		{"tcp 127.0.0.1:80 answers", "80", true},
		{"tcp 127.0.0.1:8080 answers", "80", false},
		{"tcp 127.0.0.1:8080, then :80", ":80", true},
		{"tcp 127.0.0.1:8080", ":80", false},
		{"/usr/sbin/nginx", "nginx", true},
		{"/usr/sbin/nginx", "inx", false},
		{"", "x", false}, {"x", "", true}, {"xxx x", "x", true}, {"aé", "é", false},
	} {
		if got := hasWords(c.text, c.words); got != c.want {
			t.Errorf("%q in %q: %v", c.words, c.text, got)
		}
	}
}

// A pinned split stands where its rule says, on a recording that is there.
func TestPlace(t *testing.T) {
	s := script{news: until(2*sec, 50*ms), length: 10 * sec, marks: []Mark{
		{100 * ms, MarkStart, 9, "web", "/bin/web"}, {sec, MarkExec, 10, "sh", "/bin/sh"}, {1500 * ms, MarkExec, 10, "helper", "/bin/helper"},
		{1200 * ms, MarkUID, 9, "web", "user 33"}, waits(2100*ms, 9, "web"), waits(4*sec, 11, "admin"),
		{3 * sec, MarkReady, 0, "", "tcp 127.0.0.1:80 answers"}, {8 * sec, MarkStop, 9, "web", ""},
	}}.session(t)
	for text, want := range map[string]time.Duration{
		"2.5s": 2500 * ms, "start": 100 * ms, "exec": 100 * ms, "2nd exec": sec, "exec helper": 1500 * ms, "drop": 1200 * ms,
		"listen-wait": 2100 * ms, "listen-wait 80": 2100 * ms, "listen-wait admin": 4 * sec, "2s after 2nd listen-wait": 6 * sec,
		"ready 80": 3 * sec, "500ms after ready tcp": 3500 * ms, "call #7": 350 * ms,
		"ready 8": -1, "3rd listen-wait": -1, "9s after listen-wait": -1, "listen": -1, "call #900": -1, "11s": -1,
	} {
		sp, ok := s.Place(mustRule(t, text))
		switch {
		case ok != (want >= 0), ok == sp.Waits, sp.Rule != text:
			t.Errorf("%s: %v, %+v", text, ok, sp)
		case ok && (sp.At < want || sp.At > want+2*trace.Tick || sp.At != s.Snap(want)):
			t.Errorf("%s: at %v, want %v", text, sp.At, want)
		case ok && sp.At < 8*sec && sp.Stop != 8*sec:
			t.Errorf("%s: its stop is %v", text, sp.Stop)
		case !ok && !strings.HasPrefix(sp.How, "pinned"):
			t.Errorf("%s: %s", text, sp.How)
		}
	}
	if sp, _ := s.Place(mustRule(t, "9s after listen-wait")); !strings.Contains(sp.How, "2.10 s") && !strings.Contains(sp.How, "is at 11.10 s, which the recording has not come to") {
		t.Error(sp.How)
	}
	sp, _ := s.Place(mustRule(t, "2.5s"))
	text := ""
	for _, e := range sp.Evidence {
		text += map[bool]string{true: "\n+", false: "\n-"}[e.For] + e.Text
	}
	for _, says := range []string{"+the listening wait agrees, at 4.00 s", "+the last exec before it: helper (pid 10)"} {
		if !strings.Contains(text, says) {
			t.Errorf("the evidence does not say %q:%s", says, text)
		}
	}
}

// grow is an empty epoch of a tenth of a second.
func grow(t *testing.T, s *Session, to time.Duration) {
	t.Helper()
	for s.Length() < to {
		if err := s.AddEpoch(Epoch{Start: s.Length(), End: s.Length() + 100*ms}); err != nil {
			t.Fatal(err)
		}
	}
}

// While a recording grows, a pinned split waits for what its rule says, is then
// placed at once, for good, and stays so in the file.
func TestPinnedSplitWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.speaker")
	s := New(Meta{StartSeen: true})
	w, err := Create(path, s.Meta())
	if err != nil {
		t.Fatal(err)
	}
	s.Attach(w)
	grow(t, s, sec)
	s.Pin(mustRule(t, "2s after ready 80"), "user")
	if sp, ok := s.Split(); ok || !sp.Waits || sp.By != "user" || !strings.Contains(sp.How, "waits for 2s after ready 80") {
		t.Fatalf("%v, %+v", ok, sp)
	}
	s.AddMark(Mark{At: sec, Kind: MarkReady, Text: "tcp 127.0.0.1:8080 answers"})
	grow(t, s, 5*sec)
	s.AddMark(Mark{At: 5 * sec, Kind: MarkReady, Text: "tcp 127.0.0.1:80 answers"})
	grow(t, s, 7*sec)
	if _, ok := s.Split(); ok {
		t.Fatal("placed before the delay was over")
	}
	if sp := s.Splits()[0]; sp.How != "pinned: 2s after ready 80 is at 7.00 s, which the recording has not come to" {
		t.Fatal(sp.How)
	}
	grow(t, s, 8*sec)
	s.AddMark(Mark{At: 2 * sec, Kind: MarkReady, Text: "tcp 127.0.0.1:80 answers"}) // too late to count
	sp, ok := s.Split()
	if !ok || sp.At != 7*sec || sp.By != "user" || !strings.HasPrefix(sp.How, "pinned to 2s after ready 80: ready tcp 127.0.0.1:80 answers at 5.00 s") {
		t.Fatalf("%v, %+v", ok, sp)
	}
	if n := len(s.Splits()); n != 1 {
		t.Errorf("%d splits: placing it is no step of its own", n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again, damage, err := Open(path)
	if err != nil || damage.Any() {
		t.Fatal(err, damage)
	}
	if got, ok := again.Split(); !ok || !reflect.DeepEqual(got, sp) {
		t.Errorf("reopened it is %+v, want %+v", got, sp)
	}
}

// Undo and redo go through the moves, also when the file was closed between, and
// when it was saved as another.
func TestUndoneSplitsOutliveTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.speaker")
	s := New(Meta{StartSeen: true})
	w, err := Create(path, s.Meta())
	if err != nil {
		t.Fatal(err)
	}
	s.Attach(w)
	grow(t, s, 10*sec)
	if s.UndoSplit() || s.RedoSplit() {
		t.Fatal("there was nothing to undo")
	}
	s.AddSplit(Split{At: sec, By: "user"})
	s.Pin(mustRule(t, "listen"), "user")
	s.AddSplit(Split{At: 3 * sec, By: "user"})
	s.AmendSplit(Split{At: 3 * sec, Stop: 9 * sec, By: "user"})
	s.AddSplit(Split{At: 4 * sec, By: "user"})
	for range 2 {
		if !s.UndoSplit() {
			t.Fatal("nothing to undo")
		}
	}
	check := func(s *Session, at time.Duration, stands bool, redo int) {
		t.Helper()
		if sp, ok := s.Split(); ok != stands || sp.At != at || s.UndoneSplits() != redo {
			t.Fatalf("the split is %v, %+v, and %d can be redone; want %v %v, %d", ok, sp, s.UndoneSplits(), stands, at, redo)
		}
	}
	check(s, 0, false, 2) // it waits
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, w, _, err = OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	check(s, 0, false, 2)
	s.RedoSplit()
	check(s, 3*sec, true, 1)
	if sp, _ := s.Split(); sp.Stop != 9*sec {
		t.Error("the amended stop is gone")
	}
	s.UndoSplit()
	s.UndoSplit()
	check(s, sec, true, 3)
	s.UndoSplit()
	check(s, 0, false, 4)
	s.RedoSplit()
	copied := filepath.Join(dir, "b.speaker")
	if err := Save(copied, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, copied} {
		s, _, err := Open(p)
		if err != nil {
			t.Fatal(err)
		}
		check(s, sec, true, 3)
		for range 3 {
			s.RedoSplit()
		}
		check(s, 4*sec, true, 0)
		s.UndoSplit()
		s.AddSplit(Split{At: 5 * sec})
		check(s, 5*sec, true, 0)
	}
}

// A pin that waited when a program was killed is placed when the file is opened.
func TestPinIsPlacedOnOpening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.speaker")
	s := New(Meta{StartSeen: true})
	grow(t, s, 10*sec)
	s.AddMark(Mark{At: sec, Kind: MarkListen, Pid: 9, Comm: "web"})
	s.splits = []Split{{Rule: "listen web", Waits: true, By: "user"}}
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	s, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if sp, ok := s.Split(); !ok || sp.At != sec {
		t.Errorf("%v, %+v", ok, sp)
	}
}

// A call that a thread sleeps in across the split belongs to run, however the
// split came to lie there.
func TestSleepersBelongToRunUnderEverySplit(t *testing.T) {
	s := New(Meta{StartSeen: true})
	wait, suspend := policy.Call{Nr: 232}, policy.Call{Nr: 130}
	for i := range time.Duration(60) {
		e := Epoch{Start: i * 100 * ms, End: (i + 1) * 100 * ms, InFlight: []policy.Call{}}
		switch {
		case i == 0:
			e.Rows = []Row{{trace.Main, policy.Call{Nr: 1}, 1, ms, ms}}
		case i == 20: // both are entered in boot, and never left
			e.Rows = []Row{{trace.Main, wait, 1, 2050 * ms, 2050 * ms}, {trace.Main, suspend, 1, 2060 * ms, 2060 * ms}}
		}
		if i >= 20 {
			e.InFlight = []policy.Call{suspend, wait}
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMark(waits(2100*ms, 9, "web"))
	check := func(how string) {
		t.Helper()
		sp, ok := s.Split()
		if !ok || sp.At < 2060*ms {
			t.Fatalf("%s: %v, %+v", how, ok, sp)
		}
		run := s.Policy(sp).Narrow()
		if !run.Has(wait) || !run.Has(suspend) {
			t.Errorf("%s: run at %v lacks a call that a thread sleeps in", how, sp.At)
		}
		if got := s.Late(sp); len(got) > 0 {
			t.Errorf("%s: %v is no new call", how, got)
		}
	}
	s.AddSplit(Split{At: s.Snap(2070 * ms), By: "user"})
	check("snapped")
	s.Pin(mustRule(t, "1s after listen-wait web"), "user")
	check("pinned")
	s.AddSplit(Split{At: 4 * sec})
	check("moved")
	s.UndoSplit()
	check("undone")
	s.UndoSplit()
	check("undone twice")
	s.RedoSplit()
	check("redone")
}
