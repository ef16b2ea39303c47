package session

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// Learning tells how far a recording has come in learning what run calls, and
// estimates what it has not seen.
//
// The method is incidence based: single calls depend on each other far too much
// to be a sample (one request is dozens of them, and a reload some hundreds in a
// moment). So run is cut into intervals of equal length, 1 s and more, such that
// there are 32 to 64 of them in all but young recordings, and what counts is in
// how many of them a call came up. Intervals next to each other count as one
// occasion per two, for what happens does not keep to their borders.
//
// With q1 and q2 calls that came up on one and on two occasions in m intervals of
// run, Unseen is Chao's estimator for incidences in its bias-corrected form,
// (m-1)/m * q1(q1-1) / (2(q2+1)), and Low and High are its 95 % interval (Chao
// 1987). New calls come, after Good and Turing, at a rate of q1 by the length of
// run, so the next one in length/q1. Where nothing came up only once, at most three
// are expected in as much time again, with 95 % confidence.
//
// The limits: it is a lower bound, and speaks of what this load on this program
// does. What comes up less often than once in a recording, in a longer rhythm (a
// nightly job), or never under this load (a fault, a reload nobody asked for) it
// cannot know. Boot happens once in a recording, so of boot it says nothing: merge
// several.
type Learning struct {
	Known     int           `json:"known"`                // calls that run used
	Once      int           `json:"once"`                 // of these, on a single occasion
	Twice     int           `json:"twice"`                // on two
	Length    time.Duration `json:"length_nanoseconds"`   // of run
	Interval  time.Duration `json:"interval_nanoseconds"` // that one is
	Intervals int           `json:"intervals"`            // of run; the first and the last may be cut
	Enough    bool          `json:"enough"`               // there are enough of them for an estimate

	Unseen float64 `json:"unseen"` // calls; at least about so many
	Low    float64 `json:"unseen_low"`
	High   float64 `json:"unseen_high"`
	// Next is how long until the next new call, as a mean. AtLeast says that it is
	// a bound, with 95 % confidence: nothing came up only once.
	Next    time.Duration `json:"next_nanoseconds"`
	AtLeast bool          `json:"next_at_least"`

	Curve []Discovery `json:"-"` // first uses in run, in the order of time
}

// leastIntervals is how many intervals an estimate needs.
const leastIntervals = 10

// Learning estimates what a recording, cut at sp, has not seen of run. What lies in
// intervals of administration is not run.
func (s *Session) Learning(sp Split) Learning {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := &s.table
	spans := s.runSpans(sp)
	out := Learning{Interval: max(t.visits.unit, firstUnit), Curve: []Discovery{}}
	for _, x := range spans {
		out.Length += x.to - x.from
	}
	if len(spans) == 0 {
		return out
	}
	g := t.grid(spans)
	out.Intervals = bits.OnesCount64(g.whole) + len(g.cut)
	for _, c := range t.order {
		if c.group != trace.Main {
			continue
		}
		u, ok := c.within(spans, t.starts)
		if !ok {
			continue
		}
		out.Curve = append(out.Curve, Discovery{u.first, c.call})
		switch max(1, occasions(t.visitsIn(c, g))) {
		case 1:
			out.Once++
		case 2:
			out.Twice++
		}
	}
	out.Known = len(out.Curve)
	slices.SortFunc(out.Curve, func(a, b Discovery) int {
		return cmp.Or(cmp.Compare(a.At, b.At), compareCalls(a.Call, b.Call))
	})
	out.Enough = out.Known > 0 && out.Intervals >= leastIntervals
	if out.Enough {
		out.estimate()
	}
	return out
}

// runSpans is the time that is run, as far as it is recorded.
func (s *Session) runSpans(sp Split) []stretch {
	for _, w := range s.windows(sp) {
		if w.phase == policy.Run {
			return clipSpans(w.spans, max(sp.At, 0), s.table.length())
		}
	}
	return nil
}

// grid are the intervals of some spans of time: those that lie in them whole, a bit
// each, and what of the others does.
type grid struct {
	whole uint64
	cut   map[int][]stretch
}

func (t *table) grid(spans []stretch) grid {
	g := grid{cut: map[int][]stretch{}}
	unit := t.visits.unit
	for i := range 64 {
		lo, hi := time.Duration(i)*unit, time.Duration(i+1)*unit
		switch part := clipSpans(spans, lo, hi); {
		case len(part) == 0:
		case part[0] == stretch{lo, hi}, part[0].from == lo && part[0].to >= t.visits.upTo:
			g.whole |= 1 << i
		default:
			g.cut[i] = part
		}
	}
	return g
}

// visitsIn are the intervals of a grid that a call came up in. Those that are cut
// are looked at.
func (t *table) visitsIn(c *column, g grid) uint64 {
	m := c.visits & g.whole
	for i, part := range g.cut {
		if _, ok := c.within(part, t.starts); ok {
			m |= 1 << i
		}
	}
	return m
}

// estimate fills in what follows from the counts.
func (l *Learning) estimate() {
	q1, q2, m := float64(l.Once), float64(l.Twice), float64(l.Intervals)
	a := (m - 1) / m
	l.Unseen = max(0, a*q1*(q1-1)/(2*(q2+1))) // and not the -0 that no call on one occasion gives
	v := a*q1*(q1-1)/(2*(q2+1)) +
		a*a*q1*(2*q1-1)*(2*q1-1)/(4*(q2+1)*(q2+1)) +
		a*a*q1*q1*q2*(q1-1)*(q1-1)/(4*math.Pow(q2+1, 4))
	switch {
	case l.Unseen > 0:
		k := math.Exp(1.96 * math.Sqrt(math.Log1p(v/(l.Unseen*l.Unseen))))
		l.Low, l.High = l.Unseen/k, l.Unseen*k
	default:
		l.High = 1.96 * math.Sqrt(v)
	}
	if l.AtLeast = l.Once == 0; l.AtLeast {
		l.Next = l.Length / 3
		return
	}
	l.Next = l.Length / time.Duration(l.Once)
}

// String says it in one short line.
func (l Learning) String() string {
	switch {
	case l.Length == 0 || l.Known == 0:
		return "unseen: not known, nothing was recorded of run"
	case !l.Enough:
		return fmt.Sprintf("unseen: too early to say, %v of run is too short", l.Length.Round(time.Second))
	case l.AtLeast:
		return fmt.Sprintf("unseen: no sign of any; next new call not within %s on average", about(l.Next))
	}
	if l.Unseen < 0.5 {
		return fmt.Sprintf("unseen: none or few (0 to %.0f), next new call in about %s", math.Ceil(l.High), about(l.Next))
	}
	return fmt.Sprintf("unseen: at least about %s (%.0f to %.0f), next new call in about %s",
		count(int(math.Round(l.Unseen)), "call"), math.Floor(l.Low), math.Ceil(l.High), about(l.Next))
}

// about writes a time that is only known roughly.
func about(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
