package session

import (
	"slices"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// numbers of some calls.
func numbers(calls []policy.Call) (out []uint32) {
	for _, c := range calls {
		out = append(out, c.Nr)
	}
	return out
}

// A split tells what it costs, and what it would at the facts beside it.
func TestCost(t *testing.T) {
	s := New(Meta{StartSeen: true})
	uses := map[uint32][]time.Duration{41: {sec, 4 * sec}, 50: {2 * sec}, 49: {2*sec + 30*ms}, 99: {sec, 2500 * ms}, 82: {6 * sec}}
	for i := range time.Duration(100) {
		e := Epoch{Start: i * 100 * ms, End: (i + 1) * 100 * ms}
		for nr, times := range uses {
			for _, at := range times {
				if at > e.Start && at <= e.End {
					e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: nr}, 1, at, at})
				}
			}
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMark(Mark{3 * sec, MarkListen, 9, "web", "tcp :80"})
	s.AddMark(Mark{3500 * ms, MarkFork, 9, "web", ""})
	var at []time.Duration
	for _, p := range s.Places() {
		at = append(at, p.At)
	}
	if want := []time.Duration{sec, 2030 * ms, 3 * sec, 6 * sec}; !slices.Equal(at, want) {
		t.Fatalf("places at %v, want %v", at, want)
	}
	c := s.Cost(Split{At: 3 * sec})
	if b := c.Before; b == nil || b.At != 2030*ms || b.What == "" || !slices.Equal(numbers(b.More), []uint32{99}) || b.Fewer != nil || b.Run != c.Run.Len()+1 {
		t.Errorf("before: %+v", b)
	}
	if a := c.After; a == nil || a.At != 6*sec || a.More != nil || !slices.Equal(numbers(a.Fewer), []uint32{41, 82}) || a.Run != c.Run.Len()-2 {
		t.Errorf("after: %+v", a)
	}
	if !c.Run.Has(policy.Call{Nr: 82}) || c.Run.Has(policy.Call{Nr: 50}) {
		t.Error("the run set is", c.Run)
	}
	if c := s.Cost(Split{At: 500 * ms}); c.Before != nil || c.After == nil {
		t.Errorf("before the first: %+v", c)
	}
	if c := s.Cost(Split{At: 6 * sec}); c.After != nil || c.Before == nil || c.Before.At != 3*sec {
		t.Errorf("after the last: %+v", c)
	}
}

// Going back from a split that was snapped forward reaches the place before, and
// never the same one again.
func TestNextPlaceGetsAway(t *testing.T) {
	places := []Place{{sec, "a"}, {2 * sec, "b"}, {3 * sec, "c"}}
	p, ok := Next(places, 2*sec+2*trace.Tick, false)
	if !ok || p.What != "a" {
		t.Error("back from b is", p)
	}
	if p, ok = Next(places, 2*sec+trace.Tick, true); !ok || p.What != "c" {
		t.Error("on from b is", p)
	}
	if _, ok = Next(places, sec, false); ok {
		t.Error("there is nothing before a")
	}
}
