package session

import (
	"sort"
	"time"
)

// leastGap is the time between two epochs from which on it is called a gap.
const leastGap = 10 * time.Millisecond

// Gap is a time in which nothing was recorded.
type Gap struct {
	From time.Duration `json:"from_nanoseconds"`
	To   time.Duration `json:"to_nanoseconds"`
}

// addGap appends a gap, which comes after those of t.
func (t *table) addGap(from, to time.Duration) {
	t.gaps = append(t.gaps, Gap{from, to})
	t.gapTime += to - from
}

// gapIn reports whether some of the time between from and to was not recorded.
// A hostile file can have as many gaps as epochs, and the timeline asks for
// every column: they are searched and not walked.
func (t *table) gapIn(from, to time.Duration) bool {
	i := sort.Search(len(t.gaps), func(i int) bool { return t.gaps[i].To > from })
	return i < len(t.gaps) && t.gaps[i].From < to
}
