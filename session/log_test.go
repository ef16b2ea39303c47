package session

import (
	"math/rand/v2"
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// event is one call of a made-up run, with nothing folded away.
type event struct {
	at    time.Duration
	group trace.Group
	call  policy.Call
}

// run is a made-up run: every event, and the epochs that a tracer would have
// made of them.
type run struct {
	events []event
	epochs []Epoch
}

// newRun makes a run of n epochs. Some calls are used all the time, some now and
// then, some in one stretch; epochs are of very different lengths, some are
// apart, and some events are counted in the epoch before their own, as the
// kernel's two halves may have it.
func newRun(r *rand.Rand, n int) run {
	var out run
	calls := make([]policy.Call, 3+r.IntN(12))
	for i := range calls {
		calls[i] = policy.Call{ABI: policy.ABI(r.IntN(2)), Nr: uint32(r.IntN(400))}
	}
	start := time.Duration(0)
	for range n {
		end := start + time.Duration(1+r.IntN(200))*time.Millisecond
		if r.IntN(50) == 0 {
			end = start + time.Duration(5+r.IntN(10))*time.Second // wider than a cell
		}
		events := randomEvents(r, calls, start, end)
		out.events = append(out.events, events...)
		out.epochs = append(out.epochs, fold(start, end, events, sleepers(r, calls)))
		start = end
		if r.IntN(20) == 0 {
			start += time.Duration(r.IntN(300)) * time.Millisecond
		}
	}
	return out
}

func randomEvents(r *rand.Rand, calls []policy.Call, start, end time.Duration) []event {
	var out []event
	for i, c := range calls {
		if i > 2 && r.IntN(4) != 0 {
			continue
		}
		for range 1 + r.IntN(5) {
			at := start + 1 + time.Duration(r.Int64N(int64(end-start)))
			if r.IntN(40) == 0 {
				at = end + time.Duration(r.IntN(20_000)) // after the flip, in the older half
			}
			if r.IntN(40) == 0 {
				at = max(0, start-time.Duration(r.IntN(20_000)))
			}
			g := trace.Main
			if r.IntN(10) == 0 {
				g = trace.Group(r.IntN(3))
			}
			out = append(out, event{at, g, c})
		}
	}
	return out
}

func sleepers(r *rand.Rand, calls []policy.Call) []policy.Call {
	switch r.IntN(3) {
	case 0:
		return nil
	case 1:
		return []policy.Call{}
	}
	out := []policy.Call{calls[r.IntN(len(calls))]}
	if c := calls[r.IntN(len(calls))]; c != out[0] {
		out = append(out, c)
	}
	slices.SortFunc(out, compareCalls)
	return out
}

// fold makes the exact table of one epoch.
func fold(start, end time.Duration, events []event, asleep []policy.Call) Epoch {
	rows := map[key]*Row{}
	for _, e := range events {
		k := key{e.group, e.call}
		if rows[k] == nil {
			rows[k] = &Row{Group: e.group, Call: e.call, First: e.at, Last: e.at}
		}
		x := rows[k]
		x.Count++
		x.First, x.Last = min(x.First, e.at), max(x.Last, e.at)
	}
	out := Epoch{Start: start, End: end, InFlight: asleep}
	for _, x := range rows {
		out.Rows = append(out.Rows, *x)
	}
	sortRows(out.Rows)
	return out
}

func sortRows(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int {
		if a.Group != b.Group {
			return int(a.Group) - int(b.Group)
		}
		return compareCalls(a.Call, b.Call)
	})
}

// session records the run.
func (x run) session(m Meta) *Session {
	s := New(m)
	for _, e := range x.epochs {
		if err := s.AddEpoch(e); err != nil {
			panic(err)
		}
	}
	return s
}

// sets computes the calls of each phase from the events alone.
func (x run) sets(sp Split) map[policy.Phase]map[policy.Call]bool { return x.setsBy(sp.PhaseAt) }

// setsBy does so for any way to tell the program's phase at a time.
func (x run) setsBy(phaseAt func(time.Duration) policy.Phase) map[policy.Phase]map[policy.Call]bool {
	out := map[policy.Phase]map[policy.Call]bool{}
	put := func(ph policy.Phase, c policy.Call) {
		if out[ph] == nil {
			out[ph] = map[policy.Call]bool{}
		}
		out[ph][c] = true
	}
	for _, e := range x.events {
		switch e.group {
		case trace.Init:
			put(policy.Init, e.call)
		case trace.Exec:
			put(policy.Exec, e.call)
		default:
			put(phaseAt(e.at), e.call)
		}
	}
	for _, e := range x.epochs {
		for _, c := range e.InFlight {
			put(phaseAt(e.End), c)
		}
	}
	return out
}
