package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"speaker/policy"
	"speaker/trace"
)

const (
	// maxColumns bounds what a recording can ask for: three groups of four
	// ABIs know fewer calls than this.
	maxColumns = 8192
	// maxOffset bounds every time in a session, so that sums cannot overflow.
	maxOffset = 20 * 365 * 24 * time.Hour
)

// ErrEpoch is returned for an epoch that cannot be: out of order, or with times
// or groups that make no sense.
var ErrEpoch = errors.New("bad epoch")

// table is the recording: the epochs, and one column for each call of each
// group. Epochs are only ever appended.
type table struct {
	starts, ends []time.Duration
	calls        []uint64 // calls of all epochs up to and including this one
	looked       []bool   // someone looked which calls were in flight
	gaps         []Gap
	gapTime      time.Duration // of all gaps
	lost         []lostAt
	columns      map[key]*column
	order        []*column // in the order of their first epoch
	flights      map[policy.Call]*flight
	refused      uint64 // rows that met the full table of columns
	visits       visits
	fine         fineness
	settled      int // epochs that the last coalescing left
}

// lostAt says what had been lost from this epoch on.
type lostAt struct {
	epoch int
	lost  trace.Lost
}

// flight is the times at which a thread was asleep in one call.
type flight struct{ spans []Look }

func newTable() table {
	return table{columns: map[key]*column{}, flights: map[policy.Call]*flight{}, fine: asRecorded}
}

// check reports what is wrong with e, for the epoch after those of t.
func (t *table) check(e Epoch) error {
	if !inRange(e.Start) || !inRange(e.End) || e.End < e.Start {
		return fmt.Errorf("%w: from %v to %v", ErrEpoch, e.Start, e.End)
	}
	if n := len(t.starts); n > 0 && (e.Start < t.starts[n-1] || e.End < t.ends[n-1]) {
		return fmt.Errorf("%w: %v comes after %v", ErrEpoch, e.Start, t.starts[n-1])
	}
	for _, r := range e.Rows {
		if r.Group > trace.Exec || r.Call.ABI > policy.ARM64 || r.Count == 0 ||
			r.Last < r.First || !inRange(r.First) || !inRange(r.Last) {
			return fmt.Errorf("%w: row %+v", ErrEpoch, r)
		}
	}
	for i, n := range e.Lone {
		if n < 0 || n >= len(e.Rows) || i > 0 && n <= e.Lone[i-1] {
			return fmt.Errorf("%w: lone rows %v of %d", ErrEpoch, e.Lone, len(e.Rows))
		}
	}
	if e.Looks != nil && len(e.Looks) != len(e.InFlight) {
		return fmt.Errorf("%w: %d looks at %d calls in flight", ErrEpoch, len(e.Looks), len(e.InFlight))
	}
	for i, c := range e.InFlight {
		l := e.look(i)
		if c.ABI > policy.ARM64 || l.First < e.Start || l.Last < l.First || l.Last > e.End {
			return fmt.Errorf("%w: call %+v in flight from %v to %v", ErrEpoch, c, l.First, l.Last)
		}
	}
	return nil
}

func inRange(d time.Duration) bool { return d > -maxOffset && d < maxOffset }

// add appends a checked epoch.
func (t *table) add(e Epoch) {
	i := len(t.starts)
	if i > 0 && e.Start > t.ends[i-1]+leastGap {
		t.addGap(t.ends[i-1], e.Start)
	}
	t.starts = append(t.starts, e.Start)
	t.ends = append(t.ends, e.End)
	t.looked = append(t.looked, e.InFlight != nil)
	fresh := t.visits.unit == 0 || e.End > t.visits.upTo // else a file has counted its visits
	if fresh {
		t.grow(e.End)
		t.visits.upTo = e.End
	}
	sum := uint64(0)
	if i > 0 {
		sum = t.calls[i-1]
	}
	lone := e.Lone
	for n, r := range e.Rows {
		single := len(lone) > 0 && lone[0] == n
		if single {
			lone = lone[1:]
		}
		k := key{r.Group, r.Call}
		c := t.columns[k]
		if c == nil {
			if len(t.columns) >= maxColumns {
				t.refused++
				continue
			}
			c = &column{key: k}
			t.columns[k] = c
			t.order = append(t.order, c)
		}
		if r.Last > r.First && r.Count < 2 {
			r.Count = 2 // two times are two uses
		}
		u := use{r.First, r.Last, r.Count, single}
		if c.add(uint32(i), e.Start, u); fresh {
			t.visit(c, u)
		}
		sum += r.Count
	}
	t.calls = append(t.calls, sum)
	for k, c := range e.InFlight {
		t.addFlight(i, c, e.look(k), e.Looks == nil || e.Looks[k].First == e.Start)
	}
	if n := len(t.lost); e.Lost != t.lostBefore(n) {
		t.lost = append(t.lost, lostAt{i, e.Lost})
	}
}

// addFlight notes that in epoch i, the last one, a thread was seen asleep in c.
// Since means that it slept all the time, if it did at the end of the epoch before.
func (t *table) addFlight(i int, c policy.Call, l Look, since bool) {
	f := t.flights[c]
	if f == nil {
		if len(t.flights) >= maxColumns {
			t.refused++
			return
		}
		f = &flight{}
		t.flights[c] = f
	}
	if n := len(f.spans); n > 0 && (f.spans[n-1].Last >= l.First || since && t.upToEnd(f, i-1)) {
		f.spans[n-1].Last = max(f.spans[n-1].Last, l.Last)
		return
	}
	f.spans = append(f.spans, l)
}

// lostBefore returns what the n-th entry of t.lost is to be compared with.
func (t *table) lostBefore(n int) trace.Lost {
	if n == 0 {
		return trace.Lost{}
	}
	return t.lost[n-1].lost
}

// length is the end of the last epoch.
func (t *table) length() time.Duration {
	if n := len(t.ends); n > 0 {
		return t.ends[n-1]
	}
	return 0
}

// in reports whether a thread was asleep in f after from, up to and including to.
// One that was seen asleep before and after, and at every look between, was.
func (f *flight) in(from, to time.Duration) bool {
	i := sort.Search(len(f.spans), func(i int) bool { return f.spans[i].Last > from })
	return i < len(f.spans) && f.spans[i].First <= to
}

// within returns the first and the last look after from, up to and including to,
// that saw a thread asleep in f. Of one that was asleep all the time since from,
// the first is start.
func (f *flight) within(from, start, to time.Duration) (Look, bool) {
	a := sort.Search(len(f.spans), func(i int) bool { return f.spans[i].Last > from })
	b := sort.Search(len(f.spans), func(i int) bool { return f.spans[i].First > to })
	if a >= b {
		return Look{}, false
	}
	l := Look{f.spans[a].First, min(f.spans[b-1].Last, to)}
	if l.First <= from {
		l.First = start
	}
	return l, true
}

// upToEnd reports whether a thread was seen asleep in f at the end of epoch i.
func (t *table) upToEnd(f *flight, i int) bool {
	if i < 0 || !t.looked[i] {
		return false
	}
	k := sort.Search(len(f.spans), func(k int) bool { return f.spans[k].Last >= t.ends[i] })
	return k < len(f.spans) && f.spans[k].First <= t.ends[i]
}

// upTo returns the calls of all groups up to t; an epoch that t cuts is shared
// out by time.
func (t *table) upTo(at time.Duration) uint64 {
	i := sort.Search(len(t.ends), func(i int) bool { return t.ends[i] > at })
	before := uint64(0)
	if i > 0 {
		before = t.calls[i-1]
	}
	if i == len(t.ends) || at <= t.starts[i] {
		return before
	}
	part := float64(at-t.starts[i]) / float64(t.ends[i]-t.starts[i])
	return before + uint64(part*float64(t.calls[i]-before))
}

// reader reads epochs back in order. It stays good while epochs are appended.
type reader struct {
	t    *table
	next int
	cell map[*column]int
	lost int
}

func (t *table) reader() *reader { return &reader{t: t, cell: map[*column]int{}} }

// read returns the next epoch, its rows and calls sorted.
func (r *reader) read() (Epoch, bool) {
	t, i := r.t, r.next
	if i >= len(t.starts) {
		return Epoch{}, false
	}
	r.next++
	e := Epoch{Start: t.starts[i], End: t.ends[i]}
	var lone map[key]bool // few epochs have any
	for _, c := range t.order {
		n := r.cell[c]
		for ; n < len(c.cells) && int(c.cells[n].epoch) == i; n++ {
			u := c.at(n, t.starts)
			e.Rows = append(e.Rows, Row{c.group, c.call, u.count, u.first, u.last})
			if u.lone {
				if lone == nil {
					lone = map[key]bool{}
				}
				lone[c.key] = true
			}
		}
		r.cell[c] = n
	}
	slices.SortFunc(e.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), compareCalls(a.Call, b.Call))
	})
	for n, x := range e.Rows {
		if lone[key{x.Group, x.Call}] {
			e.Lone = append(e.Lone, n)
		}
	}
	if t.looked[i] {
		t.readFlights(i, &e)
	}
	for r.lost < len(t.lost) && t.lost[r.lost].epoch <= i {
		r.lost++
	}
	e.Lost = t.lostBefore(r.lost)
	return e, true
}

// readFlights fills in who was asleep in epoch i.
func (t *table) readFlights(i int, e *Epoch) {
	after := e.Start - 1
	if i > 0 {
		after = t.ends[i-1]
	}
	e.InFlight = []policy.Call{}
	looks := map[policy.Call]Look{}
	plain := true // one look at the end tells all
	for c, f := range t.flights {
		l, ok := f.within(after, e.Start, e.End)
		if !ok {
			continue
		}
		e.InFlight, looks[c] = append(e.InFlight, c), l
		since := l.First == e.Start
		plain = plain && l.Last == e.End && (since || l.First == e.End && !t.upToEnd(f, i-1))
	}
	slices.SortFunc(e.InFlight, compareCalls)
	for _, c := range e.InFlight {
		if !plain {
			e.Looks = append(e.Looks, looks[c])
		}
	}
}

func compareCalls(a, b policy.Call) int {
	return cmp.Or(cmp.Compare(a.ABI, b.ABI), cmp.Compare(a.Nr, b.Nr))
}
