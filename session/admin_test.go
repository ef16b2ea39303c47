package session

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// What is called in an interval is in admin, and in run only if it is called
// outside as well: held against every single call.
func TestAdminEqualsTheEventLog(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 11))
		x := newRun(r, 60+r.IntN(200))
		s := x.session(Meta{})
		for i := 3 * r.IntN(3); i+2 < len(x.epochs)-3; i += 7 + r.IntN(40) {
			a := Admin{From: x.within(r, i), To: x.within(r, i+2+r.IntN(3))}
			if err := s.ChangeAdmin(AdminChange{AdminAdd, a}); err != nil {
				t.Fatal(seed, a, err)
			}
		}
		for range 20 {
			sp := x.randomSplit(r)
			if x.crowded(append([]time.Duration{sp.At, sp.Stop}, borders(s)...)) {
				continue
			}
			compareSets(t, seed, sp, x.setsBy(func(at time.Duration) policy.Phase { return phaseWith(s, sp, at) }), s.Observed(sp))
		}
	}
}

// within is a time in an epoch, often that of an event.
func (x run) within(r *rand.Rand, i int) time.Duration {
	e := x.epochs[i]
	if len(e.Rows) > 0 && r.IntN(2) == 0 {
		return max(0, min(e.Rows[r.IntN(len(e.Rows))].Last, e.End))
	}
	return e.Start + 1 + time.Duration(r.Int64N(int64(e.End-e.Start)))
}

func borders(s *Session) []time.Duration {
	var out []time.Duration
	for _, a := range s.Admins() {
		out = append(out, a.From, a.To)
	}
	return out
}

// crowded reports whether two borders lie in one epoch, or so near its end that
// events of it do: what was called between them is then not known exactly.
func (x run) crowded(borders []time.Duration) bool {
	for _, e := range x.epochs {
		n := 0
		for _, b := range borders {
			if b != 0 && e.Start-1e5 <= b && b <= e.End+1e5 {
				n++
			}
		}
		if n > 1 {
			return true
		}
	}
	return false
}

// phaseWith is the phase of an instant, by the plain meaning of the words.
func phaseWith(s *Session, sp Split, at time.Duration) policy.Phase {
	ph := sp.PhaseAt(at)
	for _, a := range s.Admins() {
		if ph == policy.Run && at > a.From && (a.To == 0 || at <= a.To) {
			return policy.Admin
		}
	}
	return ph
}

// However far cells lie out of order, a window gives what looking at each of them
// gives.
func TestWindowsOfJumbledColumns(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 12))
		c, starts := &column{}, []time.Duration(nil)
		for i := range 1 + r.IntN(200) {
			start := time.Duration(i) * 100
			first := start + time.Duration(r.IntN(80))
			if r.IntN(10) == 0 {
				first -= time.Duration(r.IntN(500))
			}
			u := use{first: first, last: first, count: 1}
			if r.IntN(2) == 0 {
				u = use{first: first, last: first + time.Duration(1+r.IntN(300)), count: 2 + uint64(r.IntN(9))}
			}
			starts = append(starts, start)
			c.add(uint32(i), start, u)
		}
		for range 50 {
			from := time.Duration(r.IntN(21_000) - 600)
			to := from + time.Duration(r.IntN(3000))
			switch r.IntN(4) {
			case 0:
				from = always
			case 1:
				to = never
			}
			var want joined
			for i := range c.cells {
				want.join(c.at(i, starts).clip(from, to))
			}
			got, any := c.window(from, to, starts)
			got.lone, want.lone = false, false // of cells alone
			if any != want.any || any && got != want.use {
				t.Fatalf("seed %d: %v to %v is %+v %t, want %+v %t", seed, from, to, got, any, want.use, want.any)
			}
		}
	}
}

func TestAdminIsChangedAndUndone(t *testing.T) {
	s := script{length: 10 * sec, news: []time.Duration{0, sec}}.session(t)
	do := func(c AdminChange) {
		t.Helper()
		if err := s.ChangeAdmin(c); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want ...Admin) {
		t.Helper()
		if got := s.Admins(); !slices.Equal(got, want) {
			t.Errorf("administration is %+v, want %+v", got, want)
		}
	}
	do(AdminChange{AdminAdd, Admin{From: 4 * sec, By: "user"}})
	has(Admin{ID: 1, From: 4 * sec, By: "user"})
	if a, ok := s.OpenAdmin(); !ok || a.ID != 1 {
		t.Errorf("open is %+v, %t", a, ok)
	}
	if err := s.ChangeAdmin(AdminChange{AdminAdd, Admin{From: 5 * sec}}); !errors.Is(err, ErrAdmin) {
		t.Errorf("a second one begins while the first is open: %v", err)
	}
	do(AdminChange{AdminMove, Admin{ID: 1, From: 4 * sec, To: 6 * sec}})
	s.AddEdit(policy.Edit{Op: policy.OpLeaveOut, Phase: policy.Admin})
	do(AdminChange{AdminRemove, Admin{ID: 1}})
	has()
	for _, want := range [][]Admin{
		{{ID: 1, From: 4 * sec, To: 6 * sec, By: "user"}}, // the removal
		{{ID: 1, From: 4 * sec, To: 6 * sec, By: "user"}}, // the edit
		{{ID: 1, From: 4 * sec, By: "user"}},              // the end
		{},                                                // the beginning
	} {
		if !s.UndoEdit() {
			t.Fatal("nothing to undo")
		}
		has(want...)
		path := tempPath(t)
		if err := Save(path, s); err != nil {
			t.Fatal(err)
		}
		kept, damage, err := Open(path)
		if err != nil || damage.Any() {
			t.Fatal(damage, err)
		}
		compareRest(t, kept, s)
	}
	for s.RedoEdit() {
	}
	has()
	if n := len(s.Edits()); n != 1 {
		t.Errorf("%d edits", n)
	}
	do(AdminChange{AdminAdd, Admin{From: sec, To: 2 * sec}})
	has(Admin{ID: 2, From: sec, To: 2 * sec})
}

func TestChangeAdminRefuses(t *testing.T) {
	s := script{length: 10 * sec, news: []time.Duration{0}}.session(t)
	for name, c := range map[string]AdminChange{
		"ends before it begins": {AdminAdd, Admin{From: 2 * sec, To: sec}},
		"before the recording":  {AdminAdd, Admin{From: -1, To: sec}},
		"after the recording":   {AdminAdd, Admin{From: sec, To: 11 * sec}},
		"moves what is not":     {AdminMove, Admin{ID: 3, From: sec, To: 2 * sec}},
		"removes what is not":   {AdminRemove, Admin{ID: 3}},
		"dismisses without end": {AdminDismiss, Admin{From: sec}},
		"unknown":               {"widen", Admin{From: sec, To: 2 * sec}},
	} {
		if err := s.ChangeAdmin(c); !errors.Is(err, ErrAdmin) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range maxAdmin {
		if err := s.ChangeAdmin(AdminChange{AdminAdd, Admin{From: sec, To: 2 * sec}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ChangeAdmin(AdminChange{AdminAdd, Admin{From: sec, To: 2 * sec}}); !errors.Is(err, ErrAdmin) {
		t.Errorf("one too many: %v", err)
	}
}

// Boot and stop go before administration; it takes its calls out of run.
func TestAdminLiesWithinRun(t *testing.T) {
	s := script{length: 10 * sec, news: []time.Duration{0}}.session(t)
	for _, a := range []Admin{{From: sec, To: 3 * sec}, {From: 2500 * ms, To: 4 * sec}, {From: 8 * sec}} {
		if err := s.ChangeAdmin(AdminChange{AdminAdd, a}); err != nil {
			t.Fatal(err)
		}
	}
	want := map[policy.Phase][]stretch{
		policy.Boot:  {{always, 2 * sec}},
		policy.Admin: {{2 * sec, 4 * sec}, {8 * sec, 9 * sec}},
		policy.Run:   {{4 * sec, 8 * sec}},
		policy.Stop:  {{9 * sec, never}},
	}
	got := map[policy.Phase][]stretch{}
	for _, w := range s.windows(Split{At: 2 * sec, Stop: 9 * sec}) {
		if w.group == trace.Main {
			got[w.phase] = w.spans
		}
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What only administration called, or had a thread asleep in, is not new in run; what
// run calls later, too, is so from then on.
func TestAdminIsNotNewInRun(t *testing.T) {
	at := map[uint32][]time.Duration{1: {sec, 30 * sec}, 2: {20 * sec}, 3: {20 * sec, 40 * sec}, 4: {50 * sec}, 5: {sec, 45 * sec}}
	s := New(Meta{StartSeen: true})
	for i := range time.Duration(600) {
		e := Epoch{Start: i * 100 * ms, End: (i + 1) * 100 * ms, InFlight: []policy.Call{}}
		e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: 0}, 1, e.End, e.End})
		for nr, times := range at {
			if slices.Contains(times, e.Start) {
				e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: nr}, 1, e.Start + ms, e.Start + ms})
			}
		}
		if i == 201 { // in the reload only
			e.InFlight = append(e.InFlight, policy.Call{Nr: 5})
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMark(Mark{At: 20*sec + 2*ms, Kind: MarkExec, Pid: 8, Comm: "sh", Text: "/bin/sh"})
	sp := Split{At: 2 * sec}
	told := func() (against, late string) {
		for _, e := range s.Weigh(sp) {
			if strings.Contains(e.Text, "in run") {
				against += e.Text + "\n"
			}
		}
		for _, x := range s.Late(sp) {
			late += fmt.Sprint(x, "\n")
		}
		return against, late
	}
	news := func(list ...string) string { return strings.Join(list, "\n") + "\n" }
	call := func(nr uint32) string { return policy.Call{Nr: nr}.String() }
	check := func(when, against, late string) {
		t.Helper()
		if a, l := told(); a != against || l != late {
			t.Errorf("%s: against\n%s, want\n%s\nlate\n%s, want\n%s", when, a, against, l, late)
		}
	}
	check("unmarked",
		news(call(2)+" is new in run, at 20.00 s", call(3)+" is new in run, at 20.00 s", call(4)+" is new in run, at 50.00 s", "sh (pid 8) is started at 20.00 s, in run"),
		news(call(2)+" at 20.00 s", call(3)+" at 20.00 s", call(1)+" at 30.00 s, known from boot", call(4)+" at 50.00 s"))
	known := s.Learning(sp).Known
	if err := s.ChangeAdmin(AdminChange{AdminAdd, Admin{From: 19 * sec, To: 21 * sec}}); err != nil {
		t.Fatal(err)
	}
	check("marked",
		news(call(3)+" is new in run, at 40.00 s", call(4)+" is new in run, at 50.00 s"),
		news(call(1)+" at 30.00 s, known from boot", call(3)+" at 40.00 s", call(5)+" at 45.00 s, known from boot", call(4)+" at 50.00 s"))
	if l := s.Learning(sp); l.Known != known-1 || slices.ContainsFunc(l.Curve, func(d Discovery) bool { return d.Call.Nr == 2 }) {
		t.Errorf("learnt %d calls, and %d before: %v", l.Known, known, l.Curve)
	}
}
