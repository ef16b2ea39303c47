package session

import (
	"math"
	"sort"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// key names one column of the recording.
type key struct {
	group trace.Group
	call  policy.Call
}

// sumEvery is how many cells share one prefix sum.
const sumEvery = 64

const (
	// isWide in cell.span says that cell.first indexes column.wide.
	isWide = math.MaxUint32
	// isLone in cell.count is use.lone, and no part of the count.
	isLone = 1 << 31
)

// The open ends of a window of time.
const (
	always time.Duration = math.MinInt64
	never  time.Duration = math.MaxInt64
)

// A column holds every epoch in which one call of one group was used, oldest
// first: 16 bytes an epoch, so that an hour of 30 calls at ten epochs a second
// is 17 MB, and any window of time is found by binary search.
type column struct {
	key
	cells []cell
	wide  []use
	sums  []uint64 // sums[i]: counts of all cells before cell i*sumEvery
	total uint64
	// first and last use of all; newest is the newest cell's.
	first, last time.Duration
	newest      use
	// jumbled is set when a cell begins or ends before the one before it. A
	// call that is counted in the older half of the tables just after the flip
	// can do that, by microseconds; then cells are searched one by one.
	jumbled bool
	visits  uint64 // the intervals that it was used in
}

// cell is one epoch's use of a call: first is nanoseconds after the epoch's
// start, span the time from first to last.
type cell struct {
	epoch, first, span, count uint32
}

// use is a cell as it is meant. column.wide keeps those that fit no cell: of
// long epochs, huge counts, and first uses that lie just before the epoch.
type use struct {
	first, last time.Duration
	count       uint64
	lone        bool // see Row.Lone
}

// single reports whether the last use is known to the nanosecond.
func (u use) single() bool { return u.count == 1 || u.lone }

// and is u and what came after it, or at the same time.
func (u use) and(next use) use {
	out := use{min(u.first, next.first), max(u.last, next.last), u.count + next.count, true}
	for _, x := range []use{u, next} {
		if x.last == out.last && !x.single() {
			out.lone = false
		}
	}
	return out
}

func (c *column) add(epoch uint32, start time.Duration, u use) {
	if len(c.cells) == 0 {
		c.first, c.last = u.first, u.last
	} else {
		c.jumbled = c.jumbled || u.first < c.newest.first || u.last < c.newest.last
		c.first, c.last = min(c.first, u.first), max(c.last, u.last)
	}
	c.newest = u
	if len(c.cells)%sumEvery == 0 {
		c.sums = append(c.sums, c.total)
	}
	c.total += u.count
	off, span := u.first-start, u.last-u.first
	if off < 0 || off > math.MaxUint32 || span >= isWide || u.count >= isLone {
		c.wide = append(c.wide, u)
		c.cells = append(c.cells, cell{epoch: epoch, first: uint32(len(c.wide) - 1), span: isWide})
		return
	}
	x := cell{epoch, uint32(off), uint32(span), uint32(u.count)}
	if u.lone {
		x.count |= isLone
	}
	c.cells = append(c.cells, x)
}

// at returns cell i; starts are the starts of all epochs.
func (c *column) at(i int, starts []time.Duration) use {
	x := c.cells[i]
	if x.span == isWide {
		return c.wide[x.first]
	}
	first := starts[x.epoch] + time.Duration(x.first)
	return use{first, first + time.Duration(x.span), uint64(x.count &^ isLone), x.count&isLone != 0}
}

// sum returns the counts of all cells before cell i.
func (c *column) sum(i int) uint64 {
	if i == len(c.cells) {
		return c.total
	}
	n := c.sums[i/sumEvery]
	for j := i / sumEvery * sumEvery; j < i; j++ {
		if x := c.cells[j]; x.span == isWide {
			n += c.wide[x.first].count
		} else {
			n += uint64(x.count &^ isLone)
		}
	}
	return n
}

// window returns the uses after from, up to and including to, and whether there
// are any. Whether there are any is exact, but for one case: a window that lies
// wholly between the first and the last use of one epoch counts as used if the
// epoch counts more than those two. Counts of an epoch that a border cuts are
// shared out by time, and its nearest known use stands for the first or last.
func (c *column) window(from, to time.Duration, starts []time.Duration) (use, bool) {
	if len(c.cells) == 0 || c.last <= from || c.first > to {
		return use{}, false
	}
	lo, hi := 0, len(c.cells)
	if !c.jumbled {
		lo = sort.Search(hi, func(i int) bool { return c.at(i, starts).last > from })
		hi = lo + sort.Search(hi-lo, func(i int) bool { return c.at(lo+i, starts).first > to })
	}
	var out joined
	// Cells that a border cuts lie at the ends; the rest is whole.
	for ; lo < hi && (c.jumbled || c.at(lo, starts).first <= from); lo++ {
		out.join(c.at(lo, starts).clip(from, to))
	}
	for ; lo < hi && c.at(hi-1, starts).last > to; hi-- {
		out.join(c.at(hi-1, starts).clip(from, to))
	}
	if lo < hi {
		out.join(use{first: c.at(lo, starts).first, last: c.at(hi-1, starts).last, count: c.sum(hi) - c.sum(lo)}, true)
	}
	return out.use, out.any
}

// clip returns the part of u after from, up to and including to.
func (u use) clip(from, to time.Duration) (use, bool) {
	if u.last <= from || u.first > to {
		return use{}, false
	}
	if u.first > from && u.last <= to {
		return u, true
	}
	inside := u.first <= from && u.last > to
	if inside && u.count <= 2 {
		return use{}, false
	}
	out := use{first: u.first, last: u.last, count: max(1, u.upTo(to)-u.upTo(from))}
	switch {
	case inside:
		out.first, out.last = from+1, to
	case u.first <= from:
		out.first = u.last
	default:
		out.last = u.first
	}
	return out, true
}

// upTo estimates how many of the uses lie at or before t, as if those between
// the first and the last were spread evenly.
func (u use) upTo(t time.Duration) uint64 {
	switch {
	case t < u.first:
		return 0
	case t >= u.last:
		return u.count
	}
	part := float64(t-u.first) / float64(u.last-u.first)
	return min(1+uint64(part*float64(u.count-2)), u.count-1)
}
