package session

import (
	"sort"
	"time"
)

// stretch is a span of time: after from, up to and including to.
type stretch struct{ from, to time.Duration }

// meets reports whether two spans have a time in common.
func (a stretch) meets(b stretch) bool { return a.from < b.to && b.from < a.to }

// without returns what is left of a without some spans, which are in order and
// apart.
func without(a stretch, cut []stretch) []stretch {
	var out []stretch
	for _, x := range cut {
		if !a.meets(x) {
			continue
		}
		if x.from > a.from {
			out = append(out, stretch{a.from, x.from})
		}
		a.from = max(a.from, x.to)
	}
	if a.to > a.from {
		out = append(out, a)
	}
	return out
}

// holds reports whether a time lies in one of some spans, which are in order and
// apart.
func holds(spans []stretch, at time.Duration) bool { return overlap(spans, at, at) }

// overlap reports whether some spans, in order and apart, have a time from first to
// last, both included.
func overlap(spans []stretch, first, last time.Duration) bool {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].to >= first })
	return i < len(spans) && spans[i].from < last
}

// clipSpans returns what of some spans lies between from and to.
func clipSpans(spans []stretch, from, to time.Duration) []stretch {
	var out []stretch
	for _, x := range spans {
		if x = (stretch{max(x.from, from), min(x.to, to)}); x.to > x.from {
			out = append(out, x)
		}
	}
	return out
}

// joined is the sum of some uses of one call.
type joined struct {
	use
	any bool
}

func (j *joined) join(u use, ok bool) {
	switch {
	case !ok:
	case !j.any:
		j.use, j.any = use{first: u.first, last: u.last, count: u.count}, true
	default:
		j.use = use{first: min(j.first, u.first), last: max(j.last, u.last), count: j.count + u.count}
	}
}

// within is window for several spans, which are in order and apart.
func (c *column) within(spans []stretch, starts []time.Duration) (use, bool) {
	var out joined
	for _, x := range spans {
		out.join(c.window(x.from, x.to, starts))
	}
	return out.use, out.any
}
