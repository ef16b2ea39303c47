package session

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// twins records a run twice: as ever, and with every epoch kept as it came. Both
// get the same splits and marks, at times when all there is of them is fine.
func (x run) twins(t *testing.T, r *rand.Rand) (s, fine *Session, placed []Split) {
	t.Helper()
	s, fine = New(Meta{}), New(Meta{})
	fine.loading = true
	for i, e := range x.epochs {
		for _, s := range []*Session{s, fine} {
			if err := s.AddEpoch(e); err != nil {
				t.Fatal(err)
			}
		}
		if i < 50 || r.IntN(40) != 0 {
			continue
		}
		sp := Split{At: e.End - time.Duration(r.Int64N(int64(10*sec)))}
		if r.IntN(2) == 0 {
			sp.Stop = sp.At + 1 + time.Duration(r.Int64N(int64(e.End-sp.At)+1))
		}
		m := Mark{At: sp.At, Kind: MarkStop}
		placed = append(placed, sp)
		for _, s := range []*Session{s, fine} {
			s.AddSplit(sp)
			s.AddMark(m)
		}
	}
	return s, fine, placed
}

// What is placed while a recording is fine stays as it was to the last count,
// however coarse the rest becomes. A split that is put elsewhere later gets the
// exact sets; with a stop in the same epoch it may get more, never less.
func TestCoalescingKeepsWhatIsPlaced(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 10))
		x := newRun(r, 6000)
		s, fine, placed := x.twins(t, r)
		if n := len(s.table.starts); n > len(x.epochs)*3/4 {
			t.Errorf("%d epochs of %d are left", n, len(x.epochs))
		}
		for _, sp := range placed {
			if got, want := s.Observed(sp), fine.Observed(sp); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, split %v, stop %v, placed early: got\n%v, want\n%v", seed, sp.At, sp.Stop, got, want)
			}
		}
		if got, want := s.Discoveries(), fine.Discoveries(); !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d: discoveries are %v, want %v", seed, got, want)
		}
		blurred := 0
		for i := range 150 {
			sp := x.randomSplit(r)
			if i%3 == 0 {
				sp.Stop = sp.At + sec + time.Duration(r.Int64N(int64(4*sec)))
			}
			want := x.sets(sp)
			if _, is := s.Blurred(sp); is {
				blurred++
				compareMore(t, want[policy.Run], s.Observed(sp)[policy.Run])
				continue
			}
			compareSets(t, seed, sp, want, s.Observed(sp))
		}
		if blurred == 0 {
			t.Errorf("seed %d: no pair lies in one epoch: the test shows little", seed)
		}
	}
}

// compareMore checks that a phase has all that it must.
func compareMore(t *testing.T, want map[policy.Call]bool, got []policy.Use) {
	t.Helper()
	has := map[policy.Call]bool{}
	for _, u := range got {
		has[u.Call] = true
	}
	for c := range want {
		if !has[c] {
			t.Errorf("%v is missing", c)
		}
	}
}

// However long a recording is, and however much flickers in it, what it takes is
// bounded by its calls.
func TestAWeekTakesLittleMoreThanADay(t *testing.T) {
	const calls, step = 6, 2 * sec
	s := New(Meta{})
	sizes := map[time.Duration]int{}
	for i := range time.Duration(7*24*time.Hour) / step {
		e := Epoch{Start: i * step, End: (i + 1) * step, Lost: trace.Lost{SamplesDropped: uint64(i)}}
		for nr := range time.Duration(calls) {
			first := e.Start + nr*ms
			e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: uint32(nr)}, 3, first, first + sec})
		}
		e.InFlight = []policy.Call{{Nr: uint32(i % 2)}}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
		if e.End%(24*time.Hour) == 0 {
			sizes[e.End/(24*time.Hour)] = sizeOf(s)
		}
	}
	if sizes[7] > sizes[1]*3/2 {
		t.Errorf("after each day it takes %v cells, spans and the like", sizes)
	}
	if p := s.Precision(s.Length() - sec); p != step {
		t.Errorf("the last minute is precise to %v", p)
	}
	for _, at := range []time.Duration{sec, time.Hour, 24 * time.Hour, 6 * 24 * time.Hour} {
		if p := s.Precision(at); p < step || p > max(step, (s.Length()-at)/asRecorded.share) {
			t.Errorf("at %v it is precise to %v", at, p)
		}
	}
	if u := s.Observed(Split{})[policy.Run]; len(u) != calls || u[1].Count != 3*uint64(7*24*time.Hour/step) {
		t.Errorf("run counts %+v", u)
	}
	if s.Precision(-sec) != 0 || s.Precision(s.Length()+sec) != 0 {
		t.Error("precise where nothing was recorded")
	}
}

// sizeOf counts what grows with epochs.
func sizeOf(s *Session) int {
	t := &s.table
	n := len(t.starts) + len(t.lost)
	for _, c := range t.order {
		n += len(c.cells) + len(c.wide)
	}
	for _, f := range t.flights {
		n += len(f.spans)
	}
	return n
}

// A gap is a fact of its own: nothing is joined over it.
func TestGapsAreNotJoined(t *testing.T) {
	s := New(Meta{})
	for i := range time.Duration(3000) {
		start := i * 100 * ms
		if i >= 1000 {
			start += 10 * sec
		}
		if err := s.AddEpoch(Epoch{Start: start, End: start + 100*ms}); err != nil {
			t.Fatal(err)
		}
	}
	if s.Precision(105*sec) != 0 || len(epochsOf(s)) > 2500 {
		t.Errorf("in the gap it is precise to %v, with %d epochs", s.Precision(105*sec), len(epochsOf(s)))
	}
	if m := s.Missing(); m.AllGaps != 1 || m.GapTime != 10*sec {
		t.Errorf("%d gaps of %v", m.AllGaps, m.GapTime)
	}
}

func TestBlurred(t *testing.T) {
	s := New(Meta{})
	for _, e := range []Epoch{{Start: 0, End: 10}, {Start: 10, End: 1000}, {Start: 2000, End: 3000}} {
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		sp   Split
		want time.Duration
	}{
		{Split{At: 5}, 0}, {Split{At: 5, Stop: 20}, 0}, {Split{At: 20, Stop: 30}, 990}, {Split{At: 10, Stop: 1000}, 0},
		{Split{At: 20, Stop: 1000}, 0}, {Split{At: 1100, Stop: 1200}, 0}, {Split{At: 30, Stop: 20}, 0}, {Split{At: 4000, Stop: 5000}, 0},
	} {
		s.AddSplit(x.sp)
		if m := s.Missing(); m.Blurred != x.want {
			t.Errorf("%+v: the statement says %v", x.sp, m.Blurred)
		}
		if got, is := s.Blurred(x.sp); got != x.want || is != (x.want > 0) {
			t.Errorf("%+v: blurred by %v (%v), want %v", x.sp, got, is, x.want)
		}
	}
}
