package session

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

func TestObservedEqualsTheEventLog(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		x := newRun(r, 1+r.IntN(300))
		s := x.session(Meta{})
		for range 60 {
			sp := x.randomSplit(r)
			compareSets(t, seed, sp, x.sets(sp), s.Observed(sp))
		}
	}
}

// randomSplit picks a split anywhere, often exactly on an event or on an epoch's
// border, and sometimes a stop that lies in a later epoch.
func (x run) randomSplit(r *rand.Rand) Split {
	end := x.epochs[len(x.epochs)-1].End
	pick := func() time.Duration {
		switch r.IntN(4) {
		case 0:
			return x.epochs[r.IntN(len(x.epochs))].End
		case 1:
			if len(x.events) > 0 {
				return x.events[r.IntN(len(x.events))].at - time.Duration(r.IntN(2))
			}
		}
		return time.Duration(r.Int64N(int64(end)+1e6)) - 5e5
	}
	sp := Split{At: pick()}
	if r.IntN(2) == 0 {
		sp.Stop = pick()
		// One epoch that holds both borders is told apart below.
		for _, e := range x.epochs {
			if e.Start-1e5 <= sp.At && sp.At <= e.End+1e5 && sp.Stop <= e.End+1e5 {
				sp.Stop = 0
			}
		}
	}
	return sp
}

func compareSets(t *testing.T, seed uint64, sp Split, want map[policy.Phase]map[policy.Call]bool, obs policy.Observed) {
	t.Helper()
	for ph := policy.Init; ph <= policy.Admin; ph++ {
		got := map[policy.Call]bool{}
		for _, u := range obs[ph] {
			got[u.Call] = true
		}
		if !maps.Equal(got, want[ph]) && len(got)+len(want[ph]) > 0 {
			t.Fatalf("seed %d, split %v, stop %v: %v is %v, want %v", seed, sp.At, sp.Stop, ph, got, want[ph])
		}
	}
}

func TestOneEpochWithBothBordersErrsToTheSafeSide(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 8))
		x := newRun(r, 3)
		s := x.session(Meta{})
		e := x.epochs[1]
		sp := Split{At: e.Start + time.Duration(r.Int64N(int64(e.End-e.Start)))}
		sp.Stop = sp.At + 1 + time.Duration(r.Int64N(int64(e.End-sp.At)))
		got := map[policy.Call]bool{}
		for _, u := range s.Observed(sp)[policy.Run] {
			got[u.Call] = true
		}
		for c := range x.sets(sp)[policy.Run] {
			if !got[c] {
				t.Fatalf("seed %d: %v is used in run from %v to %v and missing", seed, c, sp.At, sp.Stop)
			}
		}
	}
}

func TestCountsAreSharedOutWhole(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 9))
		x := newRun(r, 200)
		s := x.session(Meta{})
		want := map[policy.Call]uint64{}
		for _, e := range x.events {
			if e.group == trace.Main {
				want[e.call]++
			}
		}
		for range 20 {
			sp := x.randomSplit(r)
			sp.Stop = 0
			got := map[policy.Call]uint64{}
			obs := s.Observed(sp)
			for _, u := range slices.Concat(obs[policy.Boot], obs[policy.Run]) {
				if u.Count > 0 {
					got[u.Call] += u.Count
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("seed %d, split %v: boot and run count %v, want %v", seed, sp.At, got, want)
			}
			checkBorders(t, sp, obs)
		}
	}
}

// checkBorders checks that the times of a phase lie in it.
func checkBorders(t *testing.T, sp Split, obs policy.Observed) {
	t.Helper()
	for _, u := range obs[policy.Boot] {
		if u.Count > 0 && (u.Last > sp.At || u.First > u.Last) {
			t.Fatalf("boot %v until %v: used from %v to %v", u.Call, sp.At, u.First, u.Last)
		}
	}
	for _, u := range obs[policy.Run] {
		if u.Count > 0 && (u.First <= sp.At || u.First > u.Last) {
			t.Fatalf("run %v from %v: used from %v to %v", u.Call, sp.At, u.First, u.Last)
		}
	}
}

func TestSleepersBelongToTheProgramOnceItRuns(t *testing.T) {
	openat, wait := policy.Call{Nr: 257}, policy.Call{Nr: 232}
	s := New(Meta{StartSeen: true})
	for i, e := range []Epoch{
		{Start: 0, End: 100, InFlight: []policy.Call{openat}}, // runc init waits for its fifo
		{Start: 100, End: 200, Rows: []Row{{trace.Main, openat, 1, 150, 150}}, InFlight: []policy.Call{}},
		{Start: 200, End: 300, InFlight: []policy.Call{wait}},
	} {
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(i, err)
		}
	}
	obs := s.Observed(Split{At: 250})
	check := func(ph policy.Phase, c policy.Call, count uint64, asleep bool) {
		t.Helper()
		if len(obs[ph]) != 1 || obs[ph][0].Call != c || obs[ph][0].Count != count || obs[ph][0].InFlight != asleep {
			t.Errorf("%v is %+v, want %v, count %d, in flight %v", ph, obs[ph], c, count, asleep)
		}
	}
	check(policy.Init, openat, 0, true)
	check(policy.Boot, openat, 1, false)
	check(policy.Run, wait, 0, true)
}

func TestEpochsReadBackAsTheyWere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := newRun(r, 300)
	for i := range x.epochs {
		x.epochs[i].Lost = trace.Lost{Table: uint64(i / 50), SamplesDropped: uint64(i / 7), ArgsDropped: uint64(i / 9), Unfollowed: uint64(i / 60)}
	}
	s := x.session(Meta{})
	compareEpochs(t, s, x.epochs)
}

// epochsOf reads the epochs of s back.
func epochsOf(s *Session) (out []Epoch) {
	for rd := s.table.reader(); ; {
		e, ok := rd.read()
		if !ok {
			return out
		}
		out = append(out, e)
	}
}

func compareEpochs(t *testing.T, s *Session, want []Epoch) {
	t.Helper()
	rd := s.table.reader()
	for i, w := range want {
		e, ok := rd.read()
		if !ok {
			t.Fatalf("%d epochs, want %d", i, len(want))
		}
		if e.Start != w.Start || e.End != w.End || e.Lost != w.Lost || !slices.Equal(e.Rows, w.Rows) ||
			!slices.Equal(e.Lone, w.Lone) || !slices.Equal(e.Looks, w.Looks) ||
			(e.InFlight == nil) != (w.InFlight == nil) || !slices.Equal(e.InFlight, w.InFlight) {
			t.Fatalf("epoch %d is\n%+v, want\n%+v", i, e, w)
		}
	}
	if e, ok := rd.read(); ok {
		t.Fatalf("one epoch too many: %+v", e)
	}
}

func TestAddEpochRefuses(t *testing.T) {
	good := Epoch{Start: 10, End: 20}
	row := func(r Row) Epoch { return Epoch{Start: 20, End: 30, Rows: []Row{r}} }
	for name, e := range map[string]Epoch{
		"backwards":       {Start: 5, End: 30},
		"ends too early":  {Start: 12, End: 15},
		"ends first":      {Start: 30, End: 25},
		"far future":      {Start: 30, End: 1 << 62},
		"unknown group":   row(Row{Group: 3, Count: 1, First: 25, Last: 25}),
		"unknown abi":     row(Row{Call: policy.Call{ABI: 4}, Count: 1, First: 25, Last: 25}),
		"no count":        row(Row{First: 25, Last: 25}),
		"last before":     row(Row{Count: 2, First: 26, Last: 25}),
		"sleeper, no abi": {Start: 20, End: 30, InFlight: []policy.Call{{ABI: 9}}},
		"looks too few":   {Start: 20, End: 30, InFlight: []policy.Call{{}, {}}, Looks: []Look{{25, 25}}},
		"look outside":    {Start: 20, End: 30, InFlight: []policy.Call{{}}, Looks: []Look{{15, 25}}},
		"look backwards":  {Start: 20, End: 30, InFlight: []policy.Call{{}}, Looks: []Look{{25, 24}}},
		"lone, no row":    {Start: 20, End: 30, Lone: []int{0}},
	} {
		s := New(Meta{})
		if err := s.AddEpoch(good); err != nil {
			t.Fatal(err)
		}
		if err := s.AddEpoch(e); err == nil {
			t.Errorf("%s: taken", name)
		}
		if s.Length() != 20 {
			t.Errorf("%s: the recording is %v long", name, s.Length())
		}
	}
}
