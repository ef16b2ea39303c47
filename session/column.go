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
	// first and last use of all, and the latest of the first ones.
	first, last, lastFirst time.Duration
	// slack is by how much a cell begins or ends before one before it, at most. A
	// call that is counted in the older half of the tables just after the flip
	// can do that, by microseconds; searches reach further by as much.
	slack  time.Duration
	visits uint64 // the intervals that it was used in
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
	if out.count < u.count { // of a hostile file
		out.count = math.MaxUint64
	}
	for _, x := range []use{u, next} {
		if x.last == out.last && !x.single() {
			out.lone = false
		}
	}
	return out
}

func (c *column) add(epoch uint32, start time.Duration, u use) {
	if len(c.cells) == 0 {
		c.first, c.last, c.lastFirst = u.first, u.last, u.first
	}
	c.slack = max(c.slack, c.lastFirst-u.first, c.last-u.last)
	c.first, c.last, c.lastFirst = min(c.first, u.first), max(c.last, u.last), max(c.lastFirst, u.first)
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
	from, to = max(from, -2*maxOffset), min(to, 2*maxOffset)
	lo := c.after(from, starts)
	hi := lo + sort.Search(len(c.cells)-lo, func(i int) bool { return c.at(lo+i, starts).first > to+c.slack })
	var out joined
	// Cells that a border cuts lie at the ends; the rest is whole.
	for ; lo < hi && c.at(lo, starts).first <= from+c.slack; lo++ {
		out.join(c.at(lo, starts).clip(from, to))
	}
	for ; lo < hi && c.at(hi-1, starts).last > to-c.slack; hi-- {
		out.join(c.at(hi-1, starts).clip(from, to))
	}
	if lo < hi {
		first, last := c.ends(lo, hi, starts)
		out.join(use{first: first, last: last, count: c.sum(hi) - c.sum(lo)}, true)
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

// after is a cell before which none has a use after at: but for the slack, the
// first that has one. Where the search ends, the cell before did not pass, and so
// none before that one has a later last use than it by more than the slack.
func (c *column) after(at time.Duration, starts []time.Duration) int {
	at = max(at, -2*maxOffset)
	return sort.Search(len(c.cells), func(i int) bool { return c.at(i, starts).last > at-c.slack })
}

// ends is the first and the last use of the cells from lo up to hi, which lie
// within the slack of its ends.
func (c *column) ends(lo, hi int, starts []time.Duration) (first, last time.Duration) {
	head, tail := c.at(lo, starts), c.at(hi-1, starts)
	first, last = head.first, tail.last
	for i := lo + 1; i < hi && c.at(i, starts).first <= head.first+c.slack; i++ {
		first = min(first, c.at(i, starts).first)
	}
	for i := hi - 2; i >= lo && c.at(i, starts).last >= tail.last-c.slack; i-- {
		last = max(last, c.at(i, starts).last)
	}
	return first, last
}
