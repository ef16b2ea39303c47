package session

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// world is a program whose calls come up at known rates, each time for a while.
type world struct {
	rates  []float64     // occasions a second
	burst  time.Duration // how long one lasts, at most
	boot   time.Duration // before it, only call 0 is used
	length time.Duration
}

// rates has calls that come up ten times a second, one that comes up as seldom as
// told, and all between.
func rates(n int, seldom time.Duration) (out []float64) {
	for i := range n {
		out = append(out, 10*math.Pow(10*seldom.Seconds(), -float64(i)/float64(n-1)))
	}
	return out
}

// live makes a recording of x, in epochs of a tenth of a second, and tells the
// rate at which calls that run did not use come up, and how many there are.
func (x world) live(t *testing.T, r *rand.Rand) (s *Session, rate float64, unseen int) {
	t.Helper()
	const epoch = 100 * ms
	used := make([]map[int]use, int(x.length/epoch))
	note := func(nr int, at time.Duration) {
		i := int(at / epoch)
		if i >= len(used) {
			return
		}
		if used[i] == nil {
			used[i] = map[int]use{}
		}
		u, ok := used[i][nr]
		if !ok {
			u = use{first: at}
		}
		used[i][nr] = use{first: u.first, last: at, count: u.count + 1}
	}
	for nr, perSecond := range x.rates {
		seen := false
		for at := x.boot; ; {
			at += time.Duration(r.ExpFloat64() / perSecond * float64(time.Second))
			if at <= x.boot || at >= x.length {
				break
			}
			seen = true
			note(nr+1, at)
			for end := at + time.Duration(r.Int64N(int64(x.burst)+1)); at+20*ms < end; {
				at += 20 * ms
				note(nr+1, at)
			}
		}
		if !seen {
			unseen++
			rate += perSecond
		}
	}
	s = New(Meta{StartSeen: true})
	for i, calls := range used {
		e := Epoch{Start: time.Duration(i) * epoch, End: time.Duration(i+1) * epoch}
		if e.End <= x.boot {
			e.Rows = append(e.Rows, Row{trace.Main, policy.Call{}, 1, e.End, e.End})
		}
		for nr, u := range calls {
			e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: uint32(nr)}, u.count, u.first, u.last})
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	return s, rate, unseen
}

// The estimate is held against worlds whose rates are known: single calls that do
// not depend on each other, and occasions that are up to a second of many calls.
// Counting single epochs as if they were independent fails the second.
func TestLearningKnowsTheTruth(t *testing.T) {
	for name, x := range map[string]world{
		"independent":              {rates(60, 3*time.Hour), 0, 3 * sec, 5 * time.Minute},
		"in bursts":                {rates(60, 3*time.Hour), sec, 3 * sec, 5 * time.Minute},
		"young":                    {rates(60, 3*time.Hour), 200 * ms, 3 * sec, 40 * sec},
		"nothing is very seldom":   {rates(60, 10*time.Minute), sec, 3 * sec, 5 * time.Minute},
		"long bursts, a long time": {rates(30, 3*time.Hour), 4 * sec, 3 * sec, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			const lives = 25
			var want, got, naive, wantUnseen, gotUnseen float64
			below := 0
			for seed := range uint64(lives) {
				s, rate, unseen := x.live(t, rand.New(rand.NewPCG(seed, 1)))
				l := s.Learning(Split{At: x.boot})
				if !l.Enough || l.Known+unseen != len(x.rates) || len(l.Curve) != l.Known {
					t.Fatalf("%d unseen, learned %+v", unseen, l)
				}
				want, wantUnseen = want+rate, wantUnseen+float64(unseen)
				got += float64(l.Once) / l.Length.Seconds()
				gotUnseen += l.Unseen
				naive += float64(inOneEpoch(s, x.boot)) / l.Length.Seconds()
				if l.Low <= float64(unseen) {
					below++
				}
			}
			t.Logf("rate of new calls %.4f/s, estimated %.4f/s, by single epochs %.4f/s; unseen %.1f, estimated %.1f; lower end right %d of %d",
				want/lives, got/lives, naive/lives, wantUnseen/lives, gotUnseen/lives, below, lives)
			if got < 0.7*want || got > 1.5*want {
				t.Errorf("new calls come at %.4f/s, estimated %.4f/s", want/lives, got/lives)
			}
			if x.burst >= sec && naive > want/2 {
				t.Error("single epochs tell as much: the test shows nothing")
			}
			// It is a lower bound, and a poor one where some come up once in hours.
			least := 0.1
			if name == "nothing is very seldom" {
				least = 0.25
			}
			if gotUnseen > 1.15*wantUnseen || gotUnseen < least*wantUnseen {
				t.Errorf("%.1f calls are unseen, estimated at least %.1f", wantUnseen/lives, gotUnseen/lives)
			}
			if below < lives*9/10 {
				t.Errorf("the lower end was too high %d times of %d", lives-below, lives)
			}
		})
	}
}

// inOneEpoch is how many calls came up in one epoch alone.
func inOneEpoch(s *Session, after time.Duration) (n int) {
	for _, c := range s.table.order {
		if len(c.cells) == 1 && c.first > after {
			n++
		}
	}
	return n
}

func TestOccasions(t *testing.T) {
	for m, want := range map[uint64]int{
		0: 0, 1: 1, 1 << 63: 1, 3: 1, 0b101: 2, 0b111: 2, 0b1101: 2, 0b11011: 2, math.MaxUint64: 32, 0xf0f: 4, 1<<63 | 1: 2,
	} {
		if got := occasions(m); got != want {
			t.Errorf("%b: %d, want %d", m, got, want)
		}
	}
	r := rand.New(rand.NewPCG(3, 3))
	for range 2000 {
		m, want := r.Uint64()&r.Uint64(), uint64(0)
		for i := range 64 {
			want |= m >> i & 1 << (i / 2)
		}
		if got := pairs(m); got != want {
			t.Fatalf("pairs of %b are %b, want %b", m, got, want)
		}
	}
	for a := range 64 {
		for b := a; b < 64; b++ {
			want := uint64(0)
			for i := a; i <= b; i++ {
				want |= 1 << i
			}
			if got := between(a, b); got != want {
				t.Fatalf("from %d to %d is %b", a, b, got)
			}
		}
	}
}

// Visits are those of the event log, however long the recording grows, and
// wherever the split and the stop lie in it.
func TestVisitsAreExact(t *testing.T) {
	x := world{rates(30, 3*time.Hour), 700 * ms, 2 * sec, 150 * sec}
	r := rand.New(rand.NewPCG(8, 8))
	s, _, _ := x.live(t, r)
	unit := s.table.visits.unit
	if unit != 4*sec {
		t.Fatalf("150 s are cut into intervals of %v", unit)
	}
	for range 200 {
		sp := Split{At: time.Duration(r.Int64N(int64(x.length)))}
		if r.IntN(2) == 0 {
			sp.Stop = sp.At + 1 + time.Duration(r.Int64N(int64(x.length-sp.At)))
		}
		end := x.length
		if sp.Stop > 0 {
			end = sp.Stop
		}
		spans := without(stretch{sp.At, end}, []stretch{{30 * sec, 31 * sec}, {70 * sec, 83 * sec}})
		g := s.table.grid(spans)
		for _, c := range s.table.order {
			want := uint64(0)
			for i := range time.Duration(64) {
				if _, ok := c.within(clipSpans(spans, i*unit, (i+1)*unit), s.table.starts); ok {
					want |= 1 << i
				}
			}
			if got := s.table.visitsIn(c, g); got != want {
				t.Fatalf("%v from %v to %v: %b, want %b", c.call, sp.At, end, got, want)
			}
		}
		if l := s.Learning(sp); l.Known != len(s.uses(s.windows(sp)[2])) {
			t.Errorf("run at %v knows %d calls, want %d", sp, l.Known, len(s.uses(s.windows(sp)[2])))
		}
	}
}

// What was counted as the epochs came is kept in the file, where epochs may have
// been put together since: those would make every rare call a steady one.
func TestVisitsOutliveTheirEpochs(t *testing.T) {
	x := world{rates(40, 3*time.Hour), 200 * ms, 2 * sec, 200 * sec}
	s, _, _ := x.live(t, rand.New(rand.NewPCG(4, 4)))
	sp := Split{At: x.boot}
	want := s.Learning(sp)
	if want.Once == 0 || want.Twice == 0 {
		t.Fatalf("nothing to see: %+v", want)
	}
	path := filepath.Join(t.TempDir(), "s.speaker")
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	again, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Learning(sp); !reflect.DeepEqual(got, want) {
		t.Errorf("reopened:\n%+v, want\n%+v", got, want)
	}
	coarse := New(Meta{StartSeen: true})
	for rd := s.table.reader(); ; {
		var whole Epoch
		rows := map[key]int{}
		for i := range 2000 {
			e, ok := rd.read()
			if !ok {
				break
			}
			if i == 0 {
				whole.Start = e.Start
			}
			whole.End = e.End
			for _, row := range e.Rows {
				k := key{row.Group, row.Call}
				at, known := rows[k]
				if !known {
					at = len(whole.Rows)
					rows[k], whole.Rows = at, append(whole.Rows, row)
					continue
				}
				whole.Rows[at].Count += row.Count
				whole.Rows[at].Last = row.Last
			}
		}
		if whole.End == 0 {
			break
		}
		if err := coarse.AddEpoch(whole); err != nil {
			t.Fatal(err)
		}
	}
	if got := coarse.Learning(sp); got.Once == want.Once && got.Twice == want.Twice {
		t.Error("epochs of 200 s tell as much: the test shows nothing")
	}
	w, err := decode[wireVisits](s.table.visitsFrame().payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := coarse.table.takeVisits(w); err != nil {
		t.Fatal(err)
	}
	got := coarse.Learning(sp)
	got.Curve, want.Curve = nil, nil // their times are those of the epochs
	if !reflect.DeepEqual(got, want) {
		t.Errorf("of epochs of 200 s:\n%+v, want\n%+v", got, want)
	}
}

func TestVisitsOfAHostileFile(t *testing.T) {
	good := wireVisits{Unit: int64(2 * sec), UpTo: int64(100 * sec), ABI: []policy.ABI{0, 9}, Nr: []uint32{1, 1}, In: []uint64{5, 7}}
	s := New(Meta{})
	grow(t, s, sec)
	if err := s.table.takeVisits(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*wireVisits){
		"no unit":      func(w *wireVisits) { w.Unit = 0 },
		"negative":     func(w *wireVisits) { w.Unit = -int64(sec) },
		"odd unit":     func(w *wireVisits) { w.Unit = int64(3 * sec) },
		"half a unit":  func(w *wireVisits) { w.Unit = int64(sec / 2) },
		"beyond":       func(w *wireVisits) { w.UpTo = int64(129 * sec) },
		"no time":      func(w *wireVisits) { w.UpTo = math.MinInt64 },
		"short column": func(w *wireVisits) { w.In = w.In[:1] },
	} {
		w := good
		if change(&w); s.table.takeVisits(w) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	old := good
	old.UpTo = int64(sec)
	if err := s.table.takeVisits(old); err != nil || s.table.visits.upTo != 100*sec {
		t.Error("an older count took the place of a newer one")
	}
}

func TestLearningInWords(t *testing.T) {
	for says, l := range map[string]Learning{
		"unseen: not known, nothing was recorded of run":                          {},
		"unseen: too early to say, 8s of run is too short":                        {Length: 8 * sec, Known: 5, Once: 5, Intervals: 8},
		"unseen: no sign of any; next new call not within 20 s on average":        {Length: time.Minute, Known: 9, Intervals: 60},
		"unseen: none or few (0 to 1), next new call in about 1 min":              {Length: time.Minute, Known: 9, Intervals: 60, Once: 1, Twice: 2},
		"unseen: at least about 3 calls (0 to 26), next new call in about 30 min": {Length: 90 * time.Minute, Known: 9, Intervals: 43, Once: 3},
	} {
		if l.Enough = l.Intervals >= leastIntervals; l.Enough {
			l.estimate()
		}
		if got := l.String(); got != says {
			t.Errorf("%+v says %q, want %q", l, got, says)
		}
	}
}

// A call that comes late in run is told, with who made it, as far as anything
// tells that.
func TestLate(t *testing.T) {
	s := New(Meta{StartSeen: true})
	names := map[uint32][]time.Duration{ // when each call is used
		1: {sec}, 2: {sec, 30 * sec}, 3: {sec, 6 * sec}, 4: {5500 * ms}, 5: {20 * sec}, 6: {25 * sec}, 7: {50 * sec}, 8: {20 * sec}, 9: {sec, 40 * sec},
	}
	for i := range time.Duration(600) {
		e := Epoch{Start: i * 100 * ms, End: (i + 1) * 100 * ms, InFlight: []policy.Call{}}
		for nr, times := range names {
			for _, at := range times {
				if at > e.Start && at <= e.End {
					e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: nr}, 1, at, at})
				}
			}
		}
		e.Rows = append(e.Rows, Row{trace.Exec, policy.Call{Nr: 99}, 1, e.End, e.End})
		if i == 100 {
			e.InFlight = append(e.InFlight, policy.Call{Nr: 9}) // it sleeps in it already
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddSamples([]Sample{
		{At: sec, Pid: 7, Call: policy.Call{Nr: 2}, Group: trace.Main, Comm: "boot"},
		{At: 20 * sec, Pid: 8, Call: policy.Call{Nr: 5}, Group: trace.Main, Comm: "we\x1bb"},
		{At: 30 * sec, Pid: 9, Call: policy.Call{Nr: 2}, Group: trace.Main, Comm: "late"},
		{At: 24 * sec, Pid: 9, Call: policy.Call{Nr: 6}, Group: trace.Main, Comm: "other"},
	})
	s.SetProcesses([]ProcessUse{{Process{Pid: 11, Comm: "counted"}, trace.Main, policy.Call{Nr: 6}, 1, 25 * sec, 25 * sec}})
	got := s.Late(Split{At: 5 * sec, Stop: 45 * sec})
	want := []Late{
		{5500 * ms, policy.Call{Nr: 4}, false, 0, ""},
		{20 * sec, policy.Call{Nr: 5}, false, 8, "we\x1bb"},
		{20 * sec, policy.Call{Nr: 8}, false, 0, ""},
		{25 * sec, policy.Call{Nr: 6}, false, 11, "counted"},
		{30 * sec, policy.Call{Nr: 2}, true, 9, "late"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	if text := got[4].String(); !strings.HasSuffix(text, " at 30.00 s, by late (pid 9), known from boot") {
		t.Error(text)
	}
	if got := s.Late(Split{At: 0}); got != nil {
		t.Errorf("without a boot %+v", got)
	}
	s.SetMeta(Meta{})
	if got := s.Late(Split{At: 5 * sec}); got != nil {
		t.Errorf("of a program whose start was not seen %+v", got)
	}
}
