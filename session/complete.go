package session

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// maxSaid is how many gaps, and how many notes of gaps, are told one by one.
const maxSaid = 5

// Missing is what keeps a recording from being complete. Samples that were
// dropped are in Lost and do not count: the recording does not rest on them.
type Missing struct {
	Empty     bool       `json:"empty"`      // nothing was recorded
	StartSeen bool       `json:"start_seen"` // false: what the program called before is missing
	RanBefore bool       `json:"ran_before"` // the container was not new
	Lost      trace.Lost `json:"lost"`       // what the tracer says it did not see

	Gaps     []Gap         `json:"gaps"` // the first of them
	AllGaps  int           `json:"all_gaps"`
	GapTime  time.Duration `json:"gap_nanoseconds"` // of all
	Noted    []string      `json:"noted"`           // what the gap marks say, the first of them
	AllNoted int           `json:"all_noted"`

	// Blurred is how long the epoch is that two borders of phases lie in, as the
	// recording is cut now; 0: none. See Session.Blurred.
	Blurred time.Duration `json:"blurred_nanoseconds"`

	RefusedRows uint64   `json:"refused_rows"` // more different calls than can be
	UnkeptMarks uint64   `json:"unkept_marks"` // too many of their kind
	OtherABIs   []string `json:"other_abis"`   // calls of another ABI than the kernel's own were seen
	Uring       bool     `json:"io_uring"`     // what it does is not seen, and no filter stops it
	Learned     int      `json:"learned"`      // calls by phase that were taken over from another recording
	Damage      Damage   `json:"damage"`       // what the file lost

	Runs        int      `json:"runs"`      // recordings that were merged into this session
	RunNotes    []string `json:"run_notes"` // what keeps those from being complete, the most common first
	AllRunNotes int      `json:"all_run_notes"`
}

// Lost returns what the tracer says it did not see, in total.
func (s *Session) Lost() trace.Lost {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table.lostBefore(len(s.table.lost))
}

// Completeness says in sentences what keeps the recording from being complete.
// It is empty when nothing does.
func (s *Session) Completeness() []string { return s.Missing().Sentences() }

// Missing returns what keeps the recording from being complete.
func (s *Session) Missing() Missing {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.missing()
}

func (s *Session) missing() Missing {
	t := &s.table
	m := Missing{
		Empty: len(t.starts) == 0 && len(s.merged.runs) == 0, StartSeen: s.meta.StartSeen, RanBefore: s.kinds[MarkRanBefore] > 0,
		Lost: t.lostBefore(len(t.lost)),
		Gaps: slices.Clone(t.gaps[:min(len(t.gaps), maxSaid)]), AllGaps: len(t.gaps), GapTime: t.gapTime,
		RefusedRows: t.refused, UnkeptMarks: s.unkept, OtherABIs: s.otherABIs(), Uring: s.seenUring(),
		Learned: len(s.learned), Damage: s.damage,
		AllNoted: s.kinds[MarkGap], Runs: len(s.merged.runs),
	}
	if sp := s.split(0); len(s.splits) > 0 && !sp.Waits {
		m.Blurred, _ = s.blurred(sp)
	}
	m.RunNotes, m.AllRunNotes = s.merged.notes()
	if m.AllNoted == 0 {
		return m
	}
	for _, x := range s.marks {
		if x.Kind == MarkGap && len(m.Noted) < maxSaid {
			m.Noted = append(m.Noted, fmt.Sprintf("at %s: %s", seconds(x.At), x.Text))
		}
	}
	return m
}

// Sentences says the same in words, what weighs most first.
func (m Missing) Sentences() []string {
	var out []string
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(m.Damage.Sets, "this session is damaged: %v: its sets, and a profile made of them, may lack calls", m.Damage)
	say(m.Damage.Any() && !m.Damage.Sets, "this session is damaged: %v; no set is made of that", m.Damage)
	say(!m.Damage.Any() && m.Damage.Unclosed, "%v", m.Damage)
	say(m.Empty, "nothing was recorded")
	for _, text := range m.RunNotes {
		say(true, "%s", text)
	}
	say(m.AllRunNotes > len(m.RunNotes), "%s of the runs like these", count(m.AllRunNotes-len(m.RunNotes), "more note"))
	say(!m.StartSeen && m.Runs == 0, "the start was not seen: what the program called before is missing")
	say(m.RanBefore, "the container had run before: what only its very first start calls was not seen, and a new container may need it")
	say(m.Lost.Table > 0, "%d calls were lost by the tracer", m.Lost.Table)
	say(m.Lost.Unfollowed > 0, "%d cgroups or processes could not be followed: what they called is missing", m.Lost.Unfollowed)
	say(m.Lost.EventsDropped > 0, "%d process events were lost: marks may be missing", m.Lost.EventsDropped)
	say(m.Lost.ArgsDropped > 0, "%d calls had argument values that were not counted: too many different ones", m.Lost.ArgsDropped)
	say(m.RefusedRows > 0, "%d rows were left out: more different calls than can be", m.RefusedRows)
	say(m.UnkeptMarks > 0, "%d marks were left out: too many of their kind", m.UnkeptMarks)
	say(m.AllGaps > 0, "%s in which nothing was recorded, %v in all: %s", count(m.AllGaps, "gap"), m.GapTime.Round(time.Millisecond), m.gaps())
	for _, text := range m.Noted {
		say(true, "%s", text)
	}
	say(m.AllNoted > len(m.Noted), "%s like these", count(m.AllNoted-len(m.Noted), "more note"))
	say(m.Blurred >= leastBlur, "%s", BlurText(m.Blurred))
	for _, abi := range m.OtherABIs {
		say(true, "%s calls were seen", abi)
	}
	say(m.Uring, "io_uring was used: what it does for the program is not seen, and no filter stops it")
	say(m.Learned > 0, "%s in the sets were taken over from another recording of the program; counts and times are of this one alone", count(m.Learned, "use"))
	return out
}

// leastBlur is the time from which on it is told that two borders lie so near each
// other: as they were recorded, epochs are shorter.
const leastBlur = time.Second

// BlurText says what it means that two borders of phases lie in one epoch of that
// length.
func BlurText(d time.Duration) string {
	return fmt.Sprintf("two borders of phases lie within one stretch of %s that is not known finer any more: a call may count for the phase between them that was used before and after it only", seconds(d))
}

// gaps says when the gaps were.
func (m Missing) gaps() string {
	var out []string
	for _, g := range m.Gaps {
		out = append(out, fmt.Sprintf("%s to %s", seconds(g.From), seconds(g.To)))
	}
	if m.AllGaps > len(m.Gaps) {
		out = append(out, "…")
	}
	return strings.Join(out, ", ")
}

// otherABIs names the ABIs, other than the kernel's own, whose calls were seen.
func (s *Session) otherABIs() []string {
	var out []string
	for abi, name := range map[policy.ABI]string{policy.I386: "32-bit (i386)", policy.X32: "x32"} {
		if slices.ContainsFunc(s.table.order, func(c *column) bool { return c.call.ABI == abi }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
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
