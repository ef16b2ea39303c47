package session

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// The calls of the runs below.
var (
	callRead   = policy.Call{Nr: 0}
	callWrite  = policy.Call{Nr: 1}
	callBind   = policy.Call{Nr: 49}
	callGetpid = policy.Call{Nr: 39}
	callKill   = policy.Call{Nr: 62}
)

// runOf is a recording of ten seconds: read up to its split, write after it, and
// at the times given what is given. Name, host and start tell it from others.
func runOf(t *testing.T, host string, start int64, at time.Duration, more ...Row) *Session {
	t.Helper()
	s := New(Meta{Target: Target{Engine: "docker", Name: "web", Image: "web:1"}, Host: host, Kernel: "6.1",
		Start: time.Unix(start, 5), Base: uint64(start), StartSeen: true})
	rows := append([]Row{
		{trace.Main, callRead, 2, time.Millisecond, at},
		{trace.Main, callWrite, 5, at + time.Second, at + 2*time.Second},
	}, more...)
	for i := range 100 {
		e := Epoch{Start: time.Duration(i) * time.Second / 10, End: time.Duration(i+1) * time.Second / 10}
		for _, r := range rows {
			if r.Last > e.Start && r.Last <= e.End {
				if r.First <= e.Start {
					r.First = r.Last
					r.Count = max(1, r.Count)
				}
				e.Rows = append(e.Rows, r)
			}
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddSplit(Split{At: at, How: "set by hand", By: "user"})
	return s
}

// onARM is a recording of the same program on another machine.
func onARM(t *testing.T) *Session {
	t.Helper()
	s := New(Meta{Target: Target{Image: "web:1"}, Kernel: "6.1", Base: 9, StartSeen: true})
	if err := s.AddEpoch(Epoch{End: 10, Rows: []Row{row(policy.Call{ABI: policy.ARM64, Nr: 7}, 1, 5)}}); err != nil {
		t.Fatal(err)
	}
	s.AddSplit(Split{At: 7})
	return s
}

func row(c policy.Call, count uint64, at time.Duration) Row { return Row{trace.Main, c, count, at, at} }

func mergeOf(t *testing.T, in ...Input) (*Session, []string) {
	t.Helper()
	s, notes, err := Merge("test", in...)
	if err != nil {
		t.Fatal(err)
	}
	return s, notes
}

// mergedSession holds one of everything that only a merged session has.
func mergedSession(t testing.TB) *Session {
	s := New(Meta{Tool: "test"})
	uses := []policy.Use{{Call: callRead, Count: 3, First: -2, Last: -1}, {Call: callWrite, InFlight: true}}
	s.merged.add(Run{ID: "1", Name: "a\x1b", Length: time.Second, Split: Split{At: 5, Evidence: []Evidence{{Text: "it waits"}}},
		Notes: []string{"the start was not seen"}, Seen: policy.Observed{policy.Boot: uses, policy.Run: uses[:1]},
		Values:      []RunValue{{Argument{trace.Main, callRead, []uint64{7}, 2, -5, 9}, policy.PhasesOf(policy.Boot, policy.Run)}},
		ValuesWhole: true})
	s.merged.add(Run{ID: "2", Proposed: true, Split: Split{Evidence: []Evidence{}}, Notes: []string{}, Seen: policy.Observed{policy.Admin: uses}})
	s.AddSplit(mergedSplit(s.merged.runs))
	return s
}

// savedBytes is a session's file.
func savedBytes(t *testing.T, s *Session) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// usesOf are all uses of a merged session, by phase and call.
func usesOf(s *Session) map[string]policy.Use {
	sp, _ := s.Split()
	out := map[string]policy.Use{}
	for ph, uses := range s.Observed(sp) {
		for _, u := range uses {
			out[ph.String()+" "+u.Call.String()] = u
		}
	}
	return out
}

// Three runs with splits of their own: what each saw before its split is boot,
// what it saw after it run, whatever the others' clocks say.
func TestMergeAlignsRunsByTheirOwnSplits(t *testing.T) {
	a := Input{"a", runOf(t, "h1", 100, time.Second, row(callBind, 1, 900*time.Millisecond))}
	b := Input{"b", runOf(t, "h2", 200, 5*time.Second, row(callBind, 3, 4*time.Second), row(callGetpid, 1, 6*time.Second))}
	c := Input{"c", runOf(t, "h3", 300, 3*time.Second)}
	s, notes := mergeOf(t, a, b, c)
	if len(notes) > 0 {
		t.Errorf("notes: %q", notes)
	}
	const ms = time.Millisecond
	want := map[string]policy.Use{
		"boot read":  {Call: callRead, Count: 6, First: 0, Last: 0, Runs: 3, OfRuns: 3},
		"boot bind":  {Call: callBind, Count: 4, First: -1000 * ms, Last: -100 * ms, Runs: 2, OfRuns: 3},
		"run write":  {Call: callWrite, Count: 15, First: 2000 * ms, Last: 2000 * ms, Runs: 3, OfRuns: 3},
		"run getpid": {Call: callGetpid, Count: 1, First: 1000 * ms, Last: 1000 * ms, Runs: 1, OfRuns: 3},
	}
	got := usesOf(s)
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%s: %+v, want %+v", k, got[k], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("uses: %+v", got)
	}
	sp, _ := s.Split()
	p := s.Policy(sp)
	if !p.Wide().Has(callBind) || p.Narrow().Has(callBind) || !p.Narrow().Has(callGetpid) {
		t.Errorf("wide %v, narrow %v", p.Wide(), p.Narrow())
	}
	e, _ := p.Entry(callBind)
	if len(e.Why) != 1 || e.Why[0].Text != "seen 4 times, in 2 of 3 runs" {
		t.Errorf("why: %+v", e.Why)
	}
	if runs := s.Runs(); len(runs) != 3 || runs[1].Meta.Host != "h2" || runs[1].Name != "b" || runs[1].Split.At != 5*time.Second {
		t.Errorf("runs: %+v", runs)
	}
}

// A phase counts the runs that saw any of it.
func TestMergeCountsRunsByPhase(t *testing.T) {
	a, b := runOf(t, "h1", 100, time.Second, row(callKill, 1, 8*time.Second)), runOf(t, "h2", 200, time.Second)
	a.AddSplit(Split{At: time.Second, Stop: 7 * time.Second})
	b.AddSplit(Split{At: 0}) // it ran before anyone watched
	s, _ := mergeOf(t, Input{"a", a}, Input{"b", b})
	got := usesOf(s)
	if u := got["stop kill"]; u.Runs != 1 || u.OfRuns != 1 {
		t.Errorf("stop: %+v", u)
	}
	if u := got["boot read"]; u.Runs != 1 || u.OfRuns != 1 {
		t.Errorf("boot: %+v", u)
	}
	if u := got["run read"]; u.Runs != 1 || u.OfRuns != 2 {
		t.Errorf("run: %+v", u)
	}
}

// The file of a merged session is the same, byte by byte, in whatever order and in
// whatever steps its runs were put together, also when one comes twice.
func TestMergeOrderAndSteps(t *testing.T) {
	in := func(name string, s *Session) Input { return Input{name, s} }
	one := func() Input { return in("a", runOf(t, "h1", 100, time.Second, row(callBind, 1, 500*time.Millisecond))) }
	two := func() Input {
		s := runOf(t, "h2", 200, 5*time.Second, row(callGetpid, 2, 7*time.Second))
		s.AddEdit(policy.Edit{At: time.Unix(50, 0), Op: policy.OpAllow, Call: callKill, Phase: policy.Run, Note: "needed"})
		s.Learn(policy.Observed{policy.Boot: {{Call: callKill, Count: 3}}})
		return in("b", s)
	}
	three := func() Input {
		s := runOf(t, "h3", 300, 3*time.Second)
		s.AddEdit(policy.Edit{At: time.Unix(40, 0), Op: policy.OpDeny, Call: callKill, Phase: policy.Run})
		s.Learn(policy.Observed{policy.Boot: {{Call: callKill, Count: 9}}, policy.Run: {{Call: callBind, InFlight: true}}})
		return in("c", s)
	}
	// The same recording as one's, cut later by somebody else.
	other := func() Input {
		x := one()
		x.Session.AddSplit(Split{At: 4 * time.Second, How: "set by hand", By: "user"})
		return in("a2", x.Session)
	}
	m := func(x ...Input) Input {
		s, _ := mergeOf(t, x...)
		return in("m", s)
	}
	want := savedBytes(t, m(one(), two(), three(), other()).Session)
	for name, x := range map[string]Input{
		"backwards":    m(other(), three(), two(), one()),
		"twice":        m(two(), one(), other(), one(), three(), two()),
		"in steps":     m(m(one(), two()), m(three(), other())),
		"step by step": m(m(m(one()), other()), m(m(three(), two()), two())),
		"overlapping":  m(m(one(), two(), three()), m(two(), other())),
	} {
		if got := savedBytes(t, x.Session); !bytes.Equal(got, want) {
			t.Errorf("%s: another file: %+v", name, usesOf(x.Session))
		}
	}
	s := m(one(), two(), three(), other()).Session
	if u := usesOf(s)["run write"]; u.Runs != 3 || u.OfRuns != 3 {
		t.Errorf("a run that came twice counts twice: %+v", u)
	}
	if u := usesOf(s)["boot kill"]; u.Earlier != 9 || u.OfRuns != 0 {
		t.Errorf("what was learned: %+v", u)
	}
	sp, _ := s.Split()
	if e, _ := s.Policy(sp).Entry(callKill); !e.Run || len(s.Edits()) != 2 {
		t.Errorf("the later edit does not hold: %+v, %+v", e, s.Edits())
	}
}

// Every use of a merged session is that of some run, and every use of a run is in
// it: held against a plain count.
func TestMergedIsTheUnion(t *testing.T) {
	var in []Input
	count := map[string]uint64{}
	runs := map[string]int{}
	for i := range 20 {
		var more []Row
		for c := range 30 {
			if (c*7+i*3)%5 < 2 {
				more = append(more, row(policy.Call{Nr: uint32(100 + c)}, uint64(c+i+1), time.Duration(c+1)*300*time.Millisecond))
			}
		}
		s := runOf(t, fmt.Sprint("h", i), int64(i), time.Duration(i%8+1)*time.Second, more...)
		sp, _ := s.Split()
		for ph, uses := range s.Observed(sp) {
			for _, u := range uses {
				k := ph.String() + " " + u.Call.String()
				count[k] += u.Count
				runs[k]++
			}
		}
		in = append(in, Input{fmt.Sprint(i), s})
	}
	half, _ := mergeOf(t, in[:9]...)
	s, _ := mergeOf(t, append([]Input{{"half", half}}, in[9:]...)...)
	got := usesOf(s)
	if len(got) != len(count) {
		t.Errorf("%d uses, want %d", len(got), len(count))
	}
	for k, u := range got {
		if u.Count != count[k] || u.Runs != runs[k] || u.OfRuns != 20 {
			t.Errorf("%s: %+v, want %d in %d runs", k, u, count[k], runs[k])
		}
	}
}

func TestMergeOfAFile(t *testing.T) {
	s, _ := mergeOf(t, Input{"a", runOf(t, "h1", 100, time.Second)}, Input{"b", runOf(t, "h2", 200, 2*time.Second)})
	path := filepath.Join(t.TempDir(), "m")
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	again, damage, err := Open(path)
	if err != nil || damage.String() != "" {
		t.Fatal(err, damage)
	}
	if got, want := fmt.Sprint(again.Runs()), fmt.Sprint(s.Runs()); got != want {
		t.Errorf("runs:\n%s\nwant\n%s", got, want)
	}
	if got, want := fmt.Sprint(usesOf(again)), fmt.Sprint(usesOf(s)); got != want {
		t.Errorf("uses:\n%s\nwant\n%s", got, want)
	}
	if !bytes.Equal(savedBytes(t, again), savedBytes(t, s)) {
		t.Error("saved again it is another file")
	}
	// Whoever goes on deciding does so in the same file.
	again, w, _, err := OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	again.AddEdit(policy.Edit{Op: policy.OpAllow, Call: callKill, Phase: policy.Run})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if again, _, err = Open(path); err != nil || len(again.Edits()) != 1 || len(again.Runs()) != 2 {
		t.Errorf("appended: %v, %d edits, %d runs", err, len(again.Edits()), len(again.Runs()))
	}
}

func TestMergeSaysWhatIsOdd(t *testing.T) {
	plain := func() *Session { return runOf(t, "h1", 100, time.Second) }
	with := func(change func(*Meta)) *Session {
		s := runOf(t, "h2", 200, time.Second)
		m := s.Meta()
		change(&m)
		s.SetMeta(m)
		return s
	}
	edited := func(op policy.EditOp, at int64, c policy.Call) *Session {
		s := runOf(t, "h", at, time.Second)
		s.AddEdit(policy.Edit{At: time.Unix(at, 0), Op: op, Call: c, Phase: policy.Run})
		return s
	}
	moved := plain()
	moved.AddSplit(Split{At: 2 * time.Second})
	for name, x := range map[string]struct {
		a, b *Session
		says string
	}{
		"two programs": {plain(), with(func(m *Meta) { m.Target.Image = "web:2" }), "of 2 different programs (web:1, web:2)"},
		"two kernels":  {plain(), with(func(m *Meta) { m.Kernel = "6.18" }), "of 2 different kernels (6.1, 6.18)"},
		"two machines": {plain(), onARM(t), "of 2 different machines (arm64, x86_64)"},
		"one twice":    {plain(), plain(), "b: the recording of web on h1, 1970-01-01 00:01:40 UTC comes more than once, and counts once"},
		"one moved":    {plain(), moved, "it is cut at 1.00 s and at 2.00 s: what either saw in a phase is taken"},
		"two minds":    {edited(policy.OpAllow, 5, callKill), edited(policy.OpDeny, 6, callKill), "the edits differ: kill in run is allowed by hand in one and denied in another"},
		"one denied":   {plain(), edited(policy.OpDeny, 6, callWrite), "edits that were taken over deny what was seen: write"},
	} {
		t.Run(name, func(t *testing.T) {
			_, notes := mergeOf(t, Input{"a", x.a}, Input{"b", x.b})
			if said := strings.Join(notes, "\n"); !strings.Contains(said, x.says) || x.says == "" && said != "" {
				t.Errorf("it says %q, want %q", said, x.says)
			}
		})
	}
}

// What no input is complete in, the merged session tells, with the number of runs.
func TestMergeKeepsWhatIsMissing(t *testing.T) {
	a, b := runOf(t, "h1", 100, time.Second), runOf(t, "h2", 200, time.Second)
	m := b.Meta()
	m.StartSeen = false
	b.SetMeta(m)
	s, _ := mergeOf(t, Input{"a", a}, Input{"b", b})
	want := []string{"in 1 of 2 runs: the start was not seen: what the program called before is missing"}
	if got := s.Completeness(); !slices.Equal(got, want) {
		t.Errorf("it says %q", got)
	}
}

func TestMergeWithoutASplit(t *testing.T) {
	s := runOf(t, "h1", 100, time.Second)
	s.splits = nil
	if _, _, err := Merge("test", Input{"a", s}); !errors.Is(err, ErrNoSplit) || !strings.Contains(err.Error(), "merge a: no split, and none can be proposed: no thread was seen") {
		t.Errorf("error %v", err)
	}
	s = runOf(t, "h1", 100, time.Second)
	s.splits = nil
	s.AddMark(Mark{At: 2 * time.Second, Kind: MarkListenWait, Pid: 1, Text: "epoll_wait on tcp 0.0.0.0:80"})
	m, notes := mergeOf(t, Input{"a", s})
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "a has no split: it is cut where one is proposed, at ") || !m.Runs()[0].Proposed {
		t.Errorf("notes %q", notes)
	}
	if _, _, err := Merge("test", Input{"empty", New(Meta{})}); err == nil || !strings.Contains(err.Error(), "merge empty: nothing was recorded in it") {
		t.Errorf("error %v", err)
	}
}

// A run that makes no sense costs its own frame and nothing else.
func TestRunsOfAHostileFile(t *testing.T) {
	sound := wireRun{ID: "x", Phase: []uint8{1}, ABI: []uint8{0}, Nr: []uint32{7}, Count: []uint64{1},
		First: []int64{-5}, Span: []int64{0}, InFlight: []uint8{0}}
	for name, change := range map[string]func(*wireRun){
		"no id":          func(w *wireRun) { w.ID = "" },
		"short column":   func(w *wireRun) { w.Nr = nil },
		"no such phase":  func(w *wireRun) { w.Phase = []uint8{200} },
		"no such abi":    func(w *wireRun) { w.ABI = []uint8{9} },
		"last too soon":  func(w *wireRun) { w.Span = []int64{-1} },
		"out of time":    func(w *wireRun) { w.First = []int64{-1 << 62} },
		"span too great": func(w *wireRun) { w.Span = []int64{1 << 62} },
		"long":           func(w *wireRun) { w.Length = 1 << 62 },
	} {
		w := sound
		change(&w)
		b := appendFrame([]byte(magic), newFrame(kindRun, w))
		b = appendFrame(b, newFrame(kindRun, sound))
		b = appendFrame(b, newFrame(kindRun, sound)) // a run is there once
		s, damage, err := read(bytes.NewReader(b), int64(len(b)))
		if err != nil || damage.BadFrames != 2 || len(s.Runs()) != 1 {
			t.Errorf("%s: %v, %v, %d runs", name, err, damage, len(s.Runs()))
		}
	}
}

// What was administration in a run is so in the merged session, by any way it was
// put together; what is odd about it is said.
func TestMergeOfReloads(t *testing.T) {
	reloaded := func(host string, start int64, marked, out bool) *Session {
		s := runOf(t, host, start, time.Second, row(callKill, 2, 5*time.Second), row(callBind, 1, 8*time.Second))
		s.AddMark(Mark{At: 5*time.Second - 1, Kind: MarkReload, Pid: 7, Comm: "web", Text: "SIGHUP from outside (pid 9)"})
		if marked {
			if err := s.ChangeAdmin(AdminChange{AdminAdd, Admin{From: 4900 * time.Millisecond, To: 5100 * time.Millisecond, By: "user"}}); err != nil {
				t.Fatal(err)
			}
		}
		if out {
			s.AddEdit(policy.Edit{At: time.Unix(start, 0), Op: policy.OpLeaveOut, Phase: policy.Admin})
		}
		return s
	}
	a, plain := Input{"a", reloaded("h1", 100, true, true)}, Input{"b", runOf(t, "h2", 200, 2*time.Second)}
	for name, s := range map[string]*Session{
		"at once":  first(mergeOf(t, a, plain)),
		"in steps": first(mergeOf(t, Input{"m", first(mergeOf(t, plain))}, Input{"n", first(mergeOf(t, a))})),
	} {
		u := usesOf(s)
		if x := u["admin kill"]; x.Count != 2 || x.Runs != 1 || x.OfRuns != 1 || x.First < 3999*time.Millisecond || x.Last > 4*time.Second {
			t.Errorf("%s: %+v", name, x)
		}
		if _, in := u["run kill"]; in || u["run bind"].Count != 1 {
			t.Errorf("%s: %+v", name, u)
		}
		sp, _ := s.Split()
		p := s.Policy(sp)
		if p.Included(policy.Admin) || p.Narrow().Has(callKill) || !p.Narrow().Has(callBind) {
			t.Errorf("%s: admin included %v, run %v", name, p.Included(policy.Admin), p.Narrow())
		}
		if d := Rehearse(s, sp, p).Denied; len(d) != 1 || d[0].Phase != policy.Admin || d[0].Call != callKill {
			t.Errorf("%s: rehearsed %+v", name, d)
		}
		path := filepath.Join(t.TempDir(), "m")
		if err := Save(path, s); err != nil {
			t.Fatal(err)
		}
		if again, _, err := Open(path); err != nil || usesOf(again)["admin kill"] != u["admin kill"] {
			t.Errorf("%s: reopened: %v", name, err)
		}
	}
	for name, x := range map[string]struct {
		in   []Input
		want string
	}{
		"left out":      {[]Input{a, plain}, "edits that were taken over leave admin out: run denies what only it calls, kill"},
		"not decided":   {[]Input{{"c", reloaded("h3", 300, false, false)}, plain}, "c: 1 recognised reload that nobody decided on, and what only it calls counts as run"},
		"marked in one": {[]Input{a, {"a2", reloaded("h1", 100, false, false)}}, "its reloads are not marked alike: what either has in run stays there"},
		"marked alike":  {[]Input{{"a", reloaded("h1", 100, true, false)}, {"a2", reloaded("h1", 100, true, false)}}, "counts once"},
	} {
		_, notes := mergeOf(t, x.in...)
		if text := strings.Join(notes, "\n"); !strings.Contains(text, x.want) || name == "marked alike" && strings.Contains(text, "not marked") {
			t.Errorf("%s: it says %q, want %q", name, text, x.want)
		}
	}
}

func first(s *Session, _ []string) *Session { return s }
