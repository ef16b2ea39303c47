package session

import (
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// Observed returns what the recording saw in each phase when it is cut at sp.
//
// The sets are exact, also within an epoch: a call is in boot when its first use
// is at or before At, and in run when a use comes after At (and, with a stop
// mark, an epoch's first at or before Stop). A call that a thread was seen
// asleep in after At belongs to run as well, whenever it was entered. Counts of
// the one epoch that a split cuts are shared out by time. What lies in an interval
// of administration is neither in run nor in any other phase but admin.
//
// Init and exec are groups of their own, whatever the time. What the runs of a
// merged session saw is cut at their own splits, and sp does not matter to it.
func (s *Session) Observed(sp Split) policy.Observed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.observed(sp)
}

func (s *Session) observed(sp Split) policy.Observed {
	out := s.recorded(sp)
	s.merged.addTo(out)
	s.addLearned(out)
	return out
}

// recorded is what this recording itself saw.
func (s *Session) recorded(sp Split) policy.Observed {
	out := policy.Observed{}
	for _, w := range s.windows(sp) {
		if uses := s.uses(w); len(uses) > 0 {
			out[w.phase] = uses
		}
	}
	return out
}

// Policy returns what is allowed when the recording is cut at sp: what was
// observed, the essentials, and the edits.
func (s *Session) Policy(sp Split) policy.Policy {
	s.mu.RLock()
	obs, edits := s.observed(sp), s.standing()
	var values map[policy.Phase][]Argument
	if slices.ContainsFunc(edits, func(e policy.Edit) bool { return e.Op == policy.OpCondition }) {
		values = s.values(sp)
	}
	s.mu.RUnlock()
	return policy.Derive(obs, edits).Recorded(seenOf(values))
}

// values returns the argument values that may have been used in each phase: those
// whose time from the first to the last use reaches into it. Count is that of all
// phases together.
func (s *Session) values(sp Split) map[policy.Phase][]Argument {
	if len(s.arguments) == 0 {
		return s.merged.inPhases(nil)
	}
	out := map[policy.Phase][]Argument{}
	windows := s.windows(sp)
	for _, a := range s.sortedArguments() {
		for _, w := range windows {
			reaches := func(x stretch) bool { return a.Last > x.from && a.First <= x.to }
			if w.group == a.Group && slices.ContainsFunc(w.spans, reaches) {
				out[w.phase] = append(out[w.phase], a)
			}
		}
	}
	return s.merged.inPhases(out)
}

func seenOf(values map[policy.Phase][]Argument) map[policy.Phase][]policy.Seen {
	out := map[policy.Phase][]policy.Seen{}
	for ph, list := range values {
		for _, a := range list {
			out[ph] = append(out[ph], a.Seen())
		}
	}
	return out
}

// window is one phase's share of a recording: the uses of one group in some spans
// of time.
type window struct {
	phase policy.Phase
	group trace.Group
	spans []stretch
}

// windows returns the share of each phase when the recording is cut at sp.
func (s *Session) windows(sp Split) []window {
	whole := []stretch{{always, never}}
	admin := s.adminSpans(sp)
	w := []window{
		{policy.Init, trace.Init, whole},
		{policy.Boot, trace.Main, []stretch{{always, sp.At}}},
		{policy.Run, trace.Main, without(stretch{sp.At, sp.runEnd()}, admin)},
		{policy.Exec, trace.Exec, whole},
		{policy.Admin, trace.Main, admin},
	}
	if sp.Stop > sp.At {
		w = append(w, window{policy.Stop, trace.Main, []stretch{{sp.Stop, never}}})
	}
	return w
}

// runEnd is the end of run, never without a stop mark.
func (sp Split) runEnd() time.Duration {
	if sp.Stop > sp.At {
		return sp.Stop
	}
	return never
}

// PhaseAt returns the phase of the program itself at t, intervals of
// administration left aside.
func (sp Split) PhaseAt(t time.Duration) policy.Phase {
	switch {
	case t <= sp.At:
		return policy.Boot
	case sp.Stop > sp.At && t > sp.Stop:
		return policy.Stop
	}
	return policy.Run
}

// uses returns the uses in w, ordered by call.
func (s *Session) uses(w window) []policy.Use {
	t := &s.table
	byCall := map[policy.Call]policy.Use{}
	for _, c := range t.order {
		if c.group != w.group {
			continue
		}
		if u, ok := c.within(w.spans, t.starts); ok {
			byCall[c.call] = policy.Use{Call: c.call, Count: u.count, First: u.first, Last: u.last}
		}
	}
	asleep := s.asleep(w)
	for call, f := range t.flights {
		if slices.ContainsFunc(asleep, func(x stretch) bool { return f.in(x.from, x.to) }) {
			u := byCall[call]
			u.Call, u.InFlight = call, true
			byCall[call] = u
		}
	}
	out := make([]policy.Use, 0, len(byCall))
	for _, u := range byCall {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b policy.Use) int { return compareCalls(a.Call, b.Call) })
	return out
}

// asleep narrows w to the time in which sleeping threads count for it. Who
// sleeps is not known by group: until the program's first own call it is the
// container runtime, from then on the program.
func (s *Session) asleep(w window) []stretch {
	begin := always
	if s.meta.StartSeen {
		begin = never
		for _, c := range s.table.order {
			if c.group == trace.Main {
				begin = min(begin, c.first)
			}
		}
	}
	switch {
	case w.group == trace.Init && s.meta.StartSeen:
		return clipSpans(w.spans, always, begin)
	case w.group == trace.Main:
		return clipSpans(w.spans, begin, never)
	}
	return nil
}
