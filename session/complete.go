package session

import (
	"fmt"
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// leastGap is the time between two epochs from which on it is called a gap.
const leastGap = 10 * time.Millisecond

// gap is a time in which nothing was recorded.
type gap struct{ from, to time.Duration }

// Lost returns what the tracer says it did not see, in total.
func (s *Session) Lost() trace.Lost {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table.lostBefore(len(s.table.lost))
}

// Completeness says in sentences what keeps the recording from being complete.
// It is empty when nothing does. Samples that were dropped do not count: the
// recording does not rest on them.
func (s *Session) Completeness() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	t := &s.table
	lost := t.lostBefore(len(t.lost))
	say(len(t.starts) == 0, "nothing was recorded")
	say(!s.meta.StartSeen, "the start was not seen: what the program called before is missing")
	say(s.kinds[MarkRanBefore] > 0, "the container had run before: what only its very first start calls was not seen, and a new container may need it")
	say(lost.Table > 0, "%d calls were lost by the tracer", lost.Table)
	say(lost.Unfollowed > 0, "%d cgroups or processes could not be followed: what they called is missing", lost.Unfollowed)
	say(lost.EventsDropped > 0, "%d process events were lost: marks may be missing", lost.EventsDropped)
	say(lost.ArgsDropped > 0, "%d calls had argument values that were not counted: too many different ones", lost.ArgsDropped)
	say(t.refused > 0, "%d rows were left out: more different calls than can be", t.refused)
	say(s.unkept > 0, "%d marks were left out: too many of their kind", s.unkept)
	if n, total := len(t.gaps), t.gapTime(); n > 0 {
		say(true, "%s in which nothing was recorded, %v in all", count(n, "gap"), total.Round(time.Millisecond))
	}
	say(s.seenABI(policy.I386), "32-bit (i386) calls were seen")
	say(s.seenABI(policy.X32), "x32 calls were seen")
	say(s.seenUring(), "io_uring was used: what it does for the program is not seen, and no filter stops it")
	return out
}

func (t *table) gapTime() (sum time.Duration) {
	for _, g := range t.gaps {
		sum += g.to - g.from
	}
	return sum
}

func (s *Session) seenABI(a policy.ABI) bool {
	return slices.ContainsFunc(s.table.order, func(c *column) bool { return c.call.ABI == a })
}

func (s *Session) seenUring() bool {
	names := []string{"io_uring_setup", "io_uring_enter", "io_uring_register"}
	return s.kinds[MarkUring] > 0 || slices.ContainsFunc(s.table.order, func(c *column) bool {
		return slices.Contains(names, c.call.Name())
	})
}

// count returns "1 gap", "2 gaps".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
