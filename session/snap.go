package session

import (
	"sort"
	"time"

	"speaker/trace"
)

// Snap returns the place for a split at or just after at, by two ticks at most,
// from which on run is exact. The last use of a call is known to the tick: with
// a split in the midst of a tick, calls of its first half count as used in run,
// to be safe. The border is where some call was last used in that tick; if none
// was, any place in it is exact.
func (s *Session) Snap(at time.Duration) time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.snap(at)
}

func (s *Session) snap(at time.Duration) time.Duration {
	t := &s.table
	border := at + 2*trace.Tick
	found := false
	for _, c := range t.order {
		for i := c.after(at, t.starts); i < len(c.cells); i++ {
			u := c.at(i, t.starts)
			if u.first > border+c.slack {
				break
			}
			if !u.single() && u.last > at && u.last <= border {
				border, found = u.last, true
			}
		}
	}
	if !found {
		return at
	}
	return border
}

// after is the first epoch that ends after at.
func (t *table) after(at time.Duration) int {
	return sort.Search(len(t.ends), func(i int) bool { return t.ends[i] > at })
}
