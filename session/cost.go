package session

import (
	"slices"
	"strings"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// Place is an instant of a recording that a split can be put at, for something
// happened there. What holds hostile bytes.
type Place struct {
	At   time.Duration
	What string
}

// together is how close first uses must be to make one place.
const together = 50 * time.Millisecond

// noPlace are the marks that say nothing of how far a program has come.
var noPlace = []string{MarkFork, MarkExit, MarkSignal, MarkEnter, MarkLeave, MarkFrozen, MarkThawed, MarkGap, MarkProbe, MarkUnready, MarkRanBefore}

// Places returns the instants that a split can be snapped to: marks, first uses
// of calls (those that come together are one place, where the last of them was),
// and where detectors have it. They are in the order of time.
func (s *Session) Places() []Place {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.places()
}

func (s *Session) places() []Place {
	f := s.facts(never)
	var out []Place
	for _, m := range f.marks {
		if !slices.Contains(noPlace, m.Kind) {
			out = append(out, Place{m.At, strings.TrimSpace(m.Kind + " " + m.Text)})
		}
	}
	for i := 0; i < len(f.news); {
		first, what := f.news[i], f.news[i].Call.String()
		for i++; i < len(f.news) && f.news[i].At-first.At < together; i++ {
			what += ", " + f.news[i].Call.String()
		}
		out = append(out, Place{f.news[i-1].At, "new " + what})
	}
	for _, o := range f.opinions() {
		if o.Found && !slices.ContainsFunc(out, func(p Place) bool { return p.At == o.At }) {
			out = append(out, Place{o.At, o.Detector})
		}
	}
	slices.SortStableFunc(out, func(a, b Place) int { return int(min(max(a.At-b.At, -1), 1)) })
	return out
}

// Next returns the place after a time, or with forward false the one before it.
// What lies within two ticks is the same one: that is how far Snap moves a split.
func Next(places []Place, at time.Duration, forward bool) (Place, bool) {
	if forward {
		i := slices.IndexFunc(places, func(p Place) bool { return p.At > at+2*trace.Tick })
		if i < 0 {
			return Place{}, false
		}
		return places[i], true
	}
	for _, p := range slices.Backward(places) {
		if p.At < at-2*trace.Tick {
			return p, true
		}
	}
	return Place{}, false
}

// Fits reports whether the split can be moved to a time: not to its stop, or
// beyond. Snap's two ticks are left between them.
func (sp Split) Fits(at time.Duration) bool { return sp.Stop == 0 || at+2*trace.Tick < sp.Stop }

// Elsewhere is what a split would cost at another place: the calls that run would
// then have besides, and those that it would lack.
type Elsewhere struct {
	Place
	Run         int // how many calls run would have
	More, Fewer []policy.Call
}

// Cost is what a split costs: what run may call, edits included, there, and at the
// places before and after it, if there are any.
type Cost struct {
	Run           policy.Set
	Before, After *Elsewhere
}

// Cost returns what a split costs.
func (s *Session) Cost(sp Split) Cost {
	places := s.Places()
	c := Cost{Run: s.Policy(sp).Narrow()}
	at := func(forward bool) *Elsewhere {
		p, ok := Next(places, sp.At, forward)
		if !ok || !sp.Fits(p.At) {
			return nil
		}
		there := sp
		there.At = s.Snap(p.At)
		run := s.Policy(there).Narrow()
		return &Elsewhere{p, run.Len(), run.Minus(c.Run).Calls(), c.Run.Minus(run).Calls()}
	}
	c.Before, c.After = at(false), at(true)
	return c
}
