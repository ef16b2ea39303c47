package session

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// A split in the midst of a tick may count calls of its first half as used in
// run; put where Snap says, it never does. The last uses are rounded as a tracer
// rounds them, and held against every single call.
// It is so for epochs of any age.
func TestSnapIsExact(t *testing.T) {
	t.Run("fine", func(t *testing.T) { snapIsExact(t, 50, asRecorded) })
	t.Run("coarse", func(t *testing.T) {
		snapIsExact(t, 400, fineness{every: 20, last: sec, first: sec, share: 4, exact: 1, evident: 1})
	})
}

func snapIsExact(t *testing.T, epochs int, fine fineness) {
	r := rand.New(rand.NewPCG(5, 6))
	s := New(Meta{StartSeen: true})
	s.table.fine = fine
	const calls, epoch = 12, 100 * time.Millisecond
	end := time.Duration(epochs) * epoch
	uses := make([][]time.Duration, calls)
	for i := range epochs {
		e := Epoch{Start: time.Duration(i) * epoch, End: time.Duration(i+1) * epoch}
		for nr := range calls {
			if i > (nr/4+1)*epochs/4 { // some are used no more
				continue
			}
			var row Row
			for range r.IntN(4) * r.IntN(3) {
				at := e.Start + time.Duration(r.Int64N(int64(epoch)))
				uses[nr] = append(uses[nr], at)
				if row.Count == 0 || at < row.First {
					row.First = at
				}
				row.Last, row.Count = max(row.Last, at), row.Count+1
			}
			if row.Count == 0 {
				continue
			}
			if row.Count > 1 { // up to the end of its tick
				row.Last = (row.Last + trace.Tick - 1) / trace.Tick * trace.Tick
			}
			row.Group, row.Call = trace.Main, policy.Call{Nr: uint32(nr)}
			e.Rows = append(e.Rows, row)
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	after := func(nr uint32, at time.Duration) bool {
		for _, u := range uses[nr] {
			if u > at {
				return true
			}
		}
		return false
	}
	late := 0
	for range 1000 {
		asked := time.Duration(r.Int64N(int64(end)))
		if u := uses[r.IntN(calls)]; r.IntN(4) == 0 { // where some call was last used
			asked = slices.Max(u) - time.Duration(r.Int64N(int64(trace.Tick)))
		}
		at := s.Snap(asked)
		if at < asked || at > asked+2*trace.Tick {
			t.Fatalf("snapped from %v to %v", asked, at)
		}
		back := s.snapBack(asked)
		if back > asked || back < asked-epoch {
			t.Fatalf("snapped back from %v to %v", asked, back)
		}
		for _, x := range []struct {
			at    time.Duration
			exact bool
		}{{asked, false}, {at, true}, {back, true}} {
			run := map[uint32]bool{}
			for _, u := range s.Observed(Split{At: x.at})[policy.Run] {
				run[u.Call.Nr] = true
			}
			for nr := range uint32(calls) {
				used := after(nr, x.at)
				if used && !run[nr] {
					t.Fatalf("split at %v: call %d was used later and is not in run", x.at, nr)
				}
				if !used && run[nr] {
					late++
					if x.exact {
						t.Errorf("split snapped to %v: call %d was not used later and is in run", x.at, nr)
					}
				}
			}
		}
	}
	if late == 0 {
		t.Error("no split cut a tick: the test shows nothing")
	}
}

// The last of a coarse row is rounded to its tick or not, as that of the last of
// the rows in it.
func TestSnapToACoarseRow(t *testing.T) {
	s := New(Meta{})
	s.table.fine = fineness{every: 1, share: 1}
	single, rounded := policy.Call{Nr: 1}, policy.Call{Nr: 2}
	for i := range time.Duration(10) {
		e := Epoch{Start: i * 100 * ms, End: (i + 1) * 100 * ms}
		if i < 3 {
			at := e.Start
			e.Rows = []Row{{trace.Main, single, 1, at + 15*ms, at + 15*ms}, {trace.Main, rounded, 2, at + 11*ms, at + 20*ms}}
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range s.table.order {
		if len(c.cells) > 2 {
			t.Fatalf("%v has %d rows, of 3", c.call, len(c.cells))
		}
	}
	at := s.Snap(212 * ms)
	if run := s.Observed(Split{At: at})[policy.Run]; at != 220*ms || len(run) != 0 {
		t.Errorf("snapped to %v, where run has %v", at, run)
	}
}
