package session

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"speaker/policy"
)

// What a merged session keeps at most.
const (
	maxRuns    = 1024
	maxRunUses = maxLearned // of one run
	maxNotes   = 64         // of one run
)

// Run is one recording that went into a merged session: what it saw in each
// phase, cut at its own split, and what is known of it. What its maps and slices
// lead to is shared: read only.
type Run struct {
	ID       string // tells recordings apart, whatever their files are called
	Name     string // of the file it was in
	Meta     Meta
	Length   time.Duration
	Split    Split    // in the times of the recording
	Proposed bool     // nobody chose the split: it is the proposal
	Notes    []string // what keeps the recording from being complete
	// Seen has the uses of each phase, by call. Their times are offsets from
	// the split: negative in boot.
	Seen policy.Observed
	// Values are the arguments that calls had, of those that decide what a call does, by
	// group, call and value. ValuesWhole says that they are all that were used.
	Values      []RunValue
	ValuesWhole bool
}

// PhasesOf returns the phases in which the run saw a call.
func (r Run) PhasesOf(c policy.Call) policy.PhaseSet {
	var out policy.PhaseSet
	for ph, uses := range r.Seen {
		if _, ok := slices.BinarySearchFunc(uses, c, func(u policy.Use, c policy.Call) int { return compareCalls(u.Call, c) }); ok {
			out |= policy.PhasesOf(ph)
		}
	}
	return out
}

// merged is what a session holds of other recordings, run by run.
type merged struct {
	runs   []Run
	total  map[phaseCall]policy.Use // with the number of runs in Runs
	phases map[policy.Phase]int     // runs that saw anything in the phase

	values    []RunValue // of all runs together
	valuesCut bool       // some had no room
}

// phaseCall names a call in a phase.
type phaseCall struct {
	phase policy.Phase
	call  policy.Call
}

// Runs returns the recordings that a merged session was made of, none for one
// that was recorded.
func (s *Session) Runs() []Run {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.merged.runs)
}

// add takes in one more run, and reports whether it did: a run is there once.
func (m *merged) add(r Run) bool {
	known := slices.ContainsFunc(m.runs, func(x Run) bool { return x.ID == r.ID })
	if known || len(m.runs) >= maxRuns {
		return false
	}
	if m.total == nil {
		m.total, m.phases = map[phaseCall]policy.Use{}, map[policy.Phase]int{}
	}
	m.runs = append(m.runs, r)
	m.takeValues(r)
	for ph, uses := range r.Seen {
		if len(uses) > 0 {
			m.phases[ph]++
		}
		for _, u := range uses {
			k := phaseCall{ph, u.Call}
			sum := addUses(m.total[k], u)
			sum.Runs = m.total[k].Runs + 1
			m.total[k] = sum
		}
	}
	return true
}

// addUses puts two uses of a call together: their counts add up.
func addUses(a, b policy.Use) policy.Use {
	out := spanUses(a, b)
	out.Count = a.Count + b.Count
	return out
}

// joinUses puts what two versions of one recording say together: neither count
// is lost, and none counts twice.
func joinUses(a, b policy.Use) policy.Use {
	out := spanUses(a, b)
	out.Count = max(a.Count, b.Count)
	return out
}

func spanUses(a, b policy.Use) policy.Use {
	out := policy.Use{Call: b.Call, InFlight: a.InFlight || b.InFlight}
	switch {
	case a.Count == 0:
		out.First, out.Last = b.First, b.Last
	case b.Count == 0:
		out.First, out.Last = a.First, a.Last
	default:
		out.First, out.Last = min(a.First, b.First), max(a.Last, b.Last)
	}
	return out
}

// addTo adds what all runs saw to obs, with how many of them saw it. Of how many,
// that depends on the phase: a run in which nobody stopped the program says
// nothing of stop.
func (m *merged) addTo(obs policy.Observed) {
	if len(m.runs) == 0 {
		return
	}
	for k, u := range m.total {
		u.OfRuns = m.phases[k.phase]
		obs[k.phase] = append(obs[k.phase], u)
	}
	for _, uses := range obs {
		slices.SortStableFunc(uses, func(a, b policy.Use) int { return compareCalls(a.Call, b.Call) })
	}
}

// maxRunNotes is how many notes of the runs are told one by one.
const maxRunNotes = 12

// notes says what keeps the runs from being complete, and in how many of them,
// and counts the different notes.
func (m *merged) notes() (told []string, all int) {
	runs := map[string]int{}
	for _, r := range m.runs {
		for _, text := range r.Notes {
			runs[text]++
		}
	}
	texts := slices.SortedFunc(maps.Keys(runs), func(a, b string) int {
		return cmp.Or(cmp.Compare(runs[b], runs[a]), cmp.Compare(a, b))
	})
	for _, text := range texts[:min(len(texts), maxRunNotes)] {
		told = append(told, fmt.Sprintf("in %d of %s: %s", runs[text], count(len(m.runs), "run"), text))
	}
	return told, len(texts)
}

// joined puts two versions of one recording together. What is known of it comes
// from the longer one, so that the order does not matter.
func (r Run) joined(o Run) Run {
	if compareRuns(r, o) < 0 {
		r, o = o, r
	}
	seen := policy.Observed{}
	for _, obs := range []policy.Observed{r.Seen, o.Seen} {
		for ph, uses := range obs {
			seen[ph] = joinLists(seen[ph], uses)
		}
	}
	r.Seen = seen
	r.Values, r.ValuesWhole = addValues(r.Values, o.Values, true), r.ValuesWhole && o.ValuesWhole
	return r
}

func joinLists(a, b []policy.Use) []policy.Use {
	byCall := map[policy.Call]policy.Use{}
	for _, u := range slices.Concat(a, b) {
		byCall[u.Call] = joinUses(byCall[u.Call], u)
	}
	return slices.SortedFunc(maps.Values(byCall), func(a, b policy.Use) int { return compareCalls(a.Call, b.Call) })
}

// compareRuns orders versions of one recording by all but what they saw.
func compareRuns(a, b Run) int {
	return cmp.Or(cmp.Compare(a.Length, b.Length), cmp.Compare(a.Split.At, b.Split.At),
		cmp.Compare(a.Split.Stop, b.Split.Stop), slices.Compare(a.bare(), b.bare()))
}

// bare is all that is known of a run but what it saw, as bytes.
func (r Run) bare() []byte {
	r.Seen, r.Values = nil, nil
	return runFrame(r).payload
}

func sortedPhases(obs policy.Observed) []policy.Phase { return slices.Sorted(maps.Keys(obs)) }

func sortedKeys[T any](m map[phaseCall]T) []phaseCall {
	return slices.SortedFunc(maps.Keys(m), func(a, b phaseCall) int {
		return cmp.Or(cmp.Compare(a.phase, b.phase), compareCalls(a.call, b.call))
	})
}
