package session

import (
	"math/rand/v2"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// A split in the midst of a tick may count calls of its first half as used in
// run; put where Snap says, it never does. The last uses are rounded as a tracer
// rounds them, and held against every single call.
func TestSnapIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := New(Meta{StartSeen: true})
	const calls, epoch = 12, 100 * time.Millisecond
	uses := make([][]time.Duration, calls)
	for i := range 50 {
		e := Epoch{Start: time.Duration(i) * epoch, End: time.Duration(i+1) * epoch}
		for nr := range calls {
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
		asked := time.Duration(r.Int64N(int64(50 * epoch)))
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
