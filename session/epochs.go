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
}

// lostAt says what had been lost from this epoch on.
type lostAt struct {
	epoch int
	lost  trace.Lost
}

// flight is the epochs at whose ends a thread was asleep in one call.
type flight struct{ spans []span }

// span is a run of epochs, both ends included.
type span struct{ from, to int }

func newTable() table {
	return table{columns: map[key]*column{}, flights: map[policy.Call]*flight{}}
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
	for _, c := range e.InFlight {
		if c.ABI > policy.ARM64 {
			return fmt.Errorf("%w: call %+v in flight", ErrEpoch, c)
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
	for _, r := range e.Rows {
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
		u := use{r.First, r.Last, r.Count}
		if c.add(uint32(i), e.Start, u); fresh {
			t.visit(c, u)
		}
		sum += r.Count
	}
	t.calls = append(t.calls, sum)
	for _, c := range e.InFlight {
		t.addFlight(i, c)
	}
	if n := len(t.lost); e.Lost != t.lostBefore(n) {
		t.lost = append(t.lost, lostAt{i, e.Lost})
	}
}

func (t *table) addFlight(i int, c policy.Call) {
	f := t.flights[c]
	if f == nil {
		if len(t.flights) >= maxColumns {
			t.refused++
			return
		}
		f = &flight{}
		t.flights[c] = f
	}
	if n := len(f.spans); n > 0 && f.spans[n-1].to >= i-1 {
		f.spans[n-1].to = i
		return
	}
	f.spans = append(f.spans, span{i, i})
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

// in reports whether f was seen at the end of an epoch that lies after from, up
// to and including to.
func (t *table) in(f *flight, from, to time.Duration) bool {
	a := sort.Search(len(t.ends), func(i int) bool { return t.ends[i] > from })
	b := sort.Search(len(t.ends), func(i int) bool { return t.ends[i] > to }) - 1
	if a > b {
		return false
	}
	i := sort.Search(len(f.spans), func(i int) bool { return f.spans[i].to >= a })
	return i < len(f.spans) && f.spans[i].from <= b
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
	for _, c := range t.order {
		n := r.cell[c]
		for ; n < len(c.cells) && int(c.cells[n].epoch) == i; n++ {
			u := c.at(n, t.starts)
			e.Rows = append(e.Rows, Row{c.group, c.call, u.count, u.first, u.last})
		}
		r.cell[c] = n
	}
	slices.SortFunc(e.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), compareCalls(a.Call, b.Call))
	})
	if t.looked[i] {
		e.InFlight = []policy.Call{}
		for c, f := range t.flights {
			k := sort.Search(len(f.spans), func(k int) bool { return f.spans[k].to >= i })
			if k < len(f.spans) && f.spans[k].from <= i {
				e.InFlight = append(e.InFlight, c)
			}
		}
		slices.SortFunc(e.InFlight, compareCalls)
	}
	for r.lost < len(t.lost) && t.lost[r.lost].epoch <= i {
		r.lost++
	}
	e.Lost = t.lostBefore(r.lost)
	return e, true
}

func compareCalls(a, b policy.Call) int {
	return cmp.Or(cmp.Compare(a.ABI, b.ABI), cmp.Compare(a.Nr, b.Nr))
}
