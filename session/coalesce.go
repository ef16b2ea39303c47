package session

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// fineness is how fine a recording stays. Epochs that are long past are joined into longer
// ones, so that what a recording takes, in memory and on disk, is bounded by the
// number of different calls and hardly grows with time: a week is about twice an
// hour. As each row keeps its first and last use, the sets for a single cut are
// exact at every instant all the same; Precision says what is not.
type fineness struct {
	// every is how many new epochs it takes to look again.
	every int
	// The last and the first of a recording are as they were recorded; with the
	// first, most programs have booted.
	last, first time.Duration
	// share is how short an epoch that was joined stays against its age.
	share time.Duration
	// Around what must stay exact, and around what the user may want to move a
	// split to, nothing is joined.
	exact, evident time.Duration
}

// asRecorded: what ended a minute ago may be joined to epochs of a second, an
// hour ago to one minute.
var asRecorded = fineness{
	every: 256, last: time.Minute, first: 30 * time.Second, share: 64,
	exact: time.Second, evident: 500 * time.Millisecond,
}

// maxEvident bounds the marks of one kind around which nothing is joined.
const maxEvident = 8

// exactInstants lists the instants at which the recording is cut, or was, or may
// be cut again by a redo. No epoch near one is ever joined with another: what a
// cut there gives stays as it is, counts included.
func (s *Session) exactInstants() []time.Duration {
	var out []time.Duration
	for _, sp := range slices.Concat(s.splits, s.unsplit) {
		if sp.Waits {
			continue
		}
		out = append(out, sp.At)
		if sp.Stop > sp.At {
			out = append(out, sp.Stop)
		}
	}
	for _, d := range slices.Concat(s.edits, s.undone) {
		if c := d.admin; c.Op != "" {
			out = append(out, c.From, c.To)
		}
	}
	for _, m := range s.marks {
		if m.Kind == MarkStop || m.Kind == MarkUser {
			out = append(out, m.At)
		}
	}
	return out
}

// evidentMarks are the kinds of marks that speak for a split.
var evidentMarks = []string{
	MarkStart, MarkListen, MarkAccept, MarkBind, MarkWait, MarkListenWait, MarkReady, MarkSeccomp, MarkUring,
	MarkNoNewPrivs, MarkCaps, MarkUID, MarkFrozen, MarkThawed, MarkGap, MarkEnded,
}

// evidentInstants lists what a user may want to move a split to: first uses of
// calls, and the first marks of each kind that speak for a split.
func (s *Session) evidentInstants() []time.Duration {
	var out []time.Duration
	for _, c := range s.table.order {
		out = append(out, c.first)
	}
	seen := map[string]int{}
	for _, m := range s.marks {
		if seen[m.Kind] < maxEvident && slices.Contains(evidentMarks, m.Kind) {
			seen[m.Kind]++
			out = append(out, m.At)
		}
	}
	return out
}

// recognisable is where administration may yet be recognised: its borders are
// found by the calls there.
func (s *Session) recognisable() []stretch {
	var out []stretch
	causes := s.recogniser(s.split(0)).causes()
	for _, c := range causes[max(0, len(causes)-maxEvident):] {
		out = append(out, stretch{c.from - headMost, c.from + headMost}, stretch{c.to - headMost, c.to + 2*reloadQuiet})
	}
	return out
}

// around returns the time within d of the instants.
func around(instants []time.Duration, d time.Duration) []stretch {
	out := make([]stretch, len(instants))
	for i, at := range instants {
		out[i] = stretch{at - d, at + d}
	}
	return out
}

// union sorts spans and joins those that meet.
func union(spans []stretch) []stretch {
	slices.SortFunc(spans, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	out := spans[:0]
	for _, x := range spans {
		if n := len(out); n > 0 && x.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, x.to)
			continue
		}
		out = append(out, x)
	}
	return out
}

// touches reports whether some of the spans, a union, have a time in x, ends
// included.
func touches(spans []stretch, x stretch) bool {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].to >= x.from })
	return i < len(spans) && spans[i].from <= x.to
}

// coalesce joins epochs that are long past, when enough are new. Call it with
// the lock held.
func (s *Session) coalesce() {
	t := &s.table
	if len(t.starts) < t.settled+t.fine.every {
		return
	}
	keep := slices.Concat(around(s.exactInstants(), t.fine.exact), around(s.evidentInstants(), t.fine.evident),
		s.recognisable(), []stretch{{t.starts[0], t.starts[0] + t.fine.first}})
	t.join(union(keep))
	t.settled = len(t.starts)
}

// join makes one epoch of each run of epochs that together are not too long for
// their age, with no gap between them and nothing of keep in them.
func (t *table) join(keep []stretch) {
	into := make([]int, len(t.starts)) // the epoch that each becomes a part of
	now, begin, n := t.length(), 0, 0
	alone := true // the epoch before is not to be joined
	for i := range into {
		age := now - t.ends[i]
		is := age < t.fine.last || touches(keep, stretch{t.starts[i], t.ends[i]})
		gap := i > 0 && t.starts[i] > t.ends[i-1]+leastGap
		if i > 0 && (is || alone || gap || t.ends[i]-t.starts[begin] > age/t.fine.share) {
			begin, n = i, n+1
		}
		into[i], alone = n, is
	}
	if n+1 < len(into) {
		t.rewrite(into, n+1)
	}
}

// rewrite replaces the epochs by n, of which epoch i becomes a part of into[i].
func (t *table) rewrite(into []int, n int) {
	old := *t
	t.starts, t.ends = make([]time.Duration, 0, n), make([]time.Duration, 0, n)
	t.calls, t.looked = make([]uint64, 0, n), make([]bool, 0, n)
	for i, k := range into {
		if k == len(t.starts) {
			t.starts, t.ends = append(t.starts, old.starts[i]), append(t.ends, 0)
			t.calls, t.looked = append(t.calls, 0), append(t.looked, false)
		}
		t.ends[k], t.calls[k] = old.ends[i], old.calls[i]
		t.looked[k] = t.looked[k] || old.looked[i]
	}
	t.lost = nil
	for _, l := range old.lost {
		l.epoch = into[l.epoch]
		if k := len(t.lost); k > 0 && t.lost[k-1].epoch == l.epoch {
			t.lost[k-1] = l
			continue
		}
		t.lost = append(t.lost, l)
	}
	for _, c := range t.order {
		c.rewrite(into, old.starts, t.starts)
	}
	for _, f := range t.flights {
		f.rewrite(t.ends)
	}
}

// rewrite makes one cell of those whose epochs are joined.
func (c *column) rewrite(into []int, olds, starts []time.Duration) {
	out := column{key: c.key, visits: c.visits}
	for i := 0; i < len(c.cells); {
		epoch := into[c.cells[i].epoch]
		u := c.at(i, olds)
		for i++; i < len(c.cells) && into[c.cells[i].epoch] == epoch; i++ {
			u = u.and(c.at(i, olds))
		}
		out.add(uint32(epoch), starts[epoch], u)
	}
	*c = out
}

// rewrite joins the spans of which one ends and the next begins in the same
// epoch, now that it is a longer one: there are no more of them than epochs.
func (f *flight) rewrite(ends []time.Duration) {
	epochOf := func(at time.Duration) int { return sort.Search(len(ends), func(i int) bool { return ends[i] >= at }) }
	var out []Look
	for _, l := range f.spans {
		if n := len(out); n > 0 && epochOf(out[n-1].Last) == epochOf(l.First) {
			out[n-1].Last = max(out[n-1].Last, l.Last)
			continue
		}
		out = append(out, l)
	}
	f.spans = out
}

// Precision returns how far apart the two ends of an interval around at must lie
// for the calls between them to be told exactly: the length of the epoch there.
// The sets for a split alone are exact everywhere. Counts around at, and the
// timeline, are shared out over such a length. It is 0 where nothing was recorded.
func (s *Session) Precision(at time.Duration) time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table.precision(at)
}

func (t *table) precision(at time.Duration) time.Duration {
	i := sort.Search(len(t.ends), func(i int) bool { return t.ends[i] >= at })
	if i == len(t.ends) || t.starts[i] > at {
		return 0
	}
	return t.ends[i] - t.starts[i]
}

// Blurred reports whether two borders of phases lie in one epoch when the recording
// is cut at sp, intervals of administration included, and how long that is: then a call of it may be counted for the phase between them that was used
// before or after only. A split that lies there since before it was coarse is
// exact, for the epochs around it stay short.
func (s *Session) Blurred(sp Split) (time.Duration, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.blurred(sp)
}

func (s *Session) blurred(sp Split) (time.Duration, bool) {
	t := &s.table
	borders := []time.Duration{sp.At}
	if sp.Stop > sp.At {
		borders = append(borders, sp.Stop)
	}
	for _, x := range s.adminSpans(sp) {
		borders = append(borders, x.from, min(x.to, never-1))
	}
	slices.Sort(borders)
	borders, most := slices.Compact(borders), time.Duration(0)
	for i := range len(borders) - 1 {
		k := t.after(borders[i])
		if k < len(t.ends) && borders[i] >= t.starts[k] && borders[i+1] < t.ends[k] {
			most = max(most, t.ends[k]-t.starts[k])
		}
	}
	return most, most > 0
}
