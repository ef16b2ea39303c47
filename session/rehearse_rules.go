package session

import (
	"fmt"
	"slices"
	"time"

	"speaker/policy"
)

// ProfileRehearsal is how a recording would have fared under one filter. Where the
// filter looks at arguments, it rests on the values that were counted of those that
// decide what a call does; what these do not tell is in Unsure, and never guessed.
type ProfileRehearsal struct {
	Denied []Denied      // by phase, then by first use; By and Samples where every use would be
	Unsure []Unsure      // the same way
	Unused []policy.Call // allowed, for some arguments at least, and not judged at any time; by name
}

// Unsure is a call that the filter lets through for some arguments only.
type Unsure struct {
	Call  policy.Call
	Phase policy.Phase
	Count uint64
	Why   string // what the recording does not tell
}

// RehearseRules runs a recording, cut at sp, against a filter that stands from the
// program's first call to its end; with late it is put in place at the split, and
// boot is not judged. The container runtime's own calls before the program's first
// exec are not judged either.
func RehearseRules(s *Session, sp Split, rules policy.Rules, late bool) ProfileRehearsal {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out ProfileRehearsal
	var some []Denied
	used := map[policy.Call]bool{}
	windows, args := s.windows(sp), s.sortedArguments()
	for phase, uses := range s.observed(sp) {
		if phase == policy.Init || late && phase == policy.Boot {
			continue
		}
		w := window{phase: phase} // of other recordings alone
		if i := slices.IndexFunc(windows, func(w window) bool { return w.phase == phase }); i >= 0 {
			w = windows[i]
		}
		for _, u := range uses {
			used[u.Call] = true
			d := Denied{Call: u.Call, Phase: phase, Count: u.Count + u.Earlier, First: u.First, Last: u.Last, InFlight: u.InFlight,
				Answer: rules.Want(u.Call, policy.Args{})}
			switch allows, denies := rules.Answers(u.Call); {
			case allows && denies:
				d, why := s.byValue(d, w, rules, args)
				if u.OfRuns > 0 && len(s.arguments) == 0 {
					d, why = s.merged.byRuns(Denied{Call: u.Call, Phase: phase, Count: u.Count, First: u.First, Last: u.Last}, rules)
				}
				if d.Refused != nil {
					some = append(some, d)
				}
				if u.Earlier > 0 || u.OfRuns > 0 && len(s.arguments) > 0 {
					why = "it looks at arguments, and their values are not kept of other recordings"
				}
				if why != "" {
					out.Unsure = append(out.Unsure, Unsure{u.Call, phase, u.Count + u.Earlier, why})
				}
			case denies:
				out.Denied = append(out.Denied, d)
			}
		}
	}
	s.tell(out.Denied, sp)
	out.Denied = append(out.Denied, some...)
	slices.SortFunc(out.Denied, compareDenied)
	slices.SortFunc(out.Unsure, func(a, b Unsure) int {
		return compareDenied(Denied{Call: a.Call, Phase: a.Phase}, Denied{Call: b.Call, Phase: b.Phase})
	})
	always, sometimes := rules.Allowed()
	for c := range always.Union(sometimes).All() {
		if !used[c] {
			out.Unused = append(out.Unused, c)
		}
	}
	slices.SortFunc(out.Unused, policy.Call.Compare)
	return out
}

// byValue judges a call that is let through for some arguments, by the values of its
// arguments that were counted: d gets those that would surely be refused in w, and
// why says what remains unknown, if anything.
func (s *Session) byValue(d Denied, w window, rules policy.Rules, args []Argument) (_ Denied, why string) {
	var known, refused uint64
	maybe := false
	for _, a := range args {
		if a.Group != w.group || a.Call != d.Call {
			continue
		}
		action, ok := rules.Given(a.Seen())
		if !ok {
			return d, "it looks at arguments whose values are not counted"
		}
		if known += a.Count; action.Allows() {
			continue
		}
		switch ends := []time.Duration{a.First, a.Last}; {
		case slices.ContainsFunc(ends, func(at time.Duration) bool { return holds(w.spans, at) }):
			d.Answer = action
			d.Refused, refused = append(d.Refused, a.Seen()), refused+a.Count
		case len(clipSpans(w.spans, a.First-1, a.Last)) > 0:
			maybe = true
		}
	}
	all := d.Count
	if c := s.table.columns[key{w.group, d.Call}]; c != nil {
		all = max(all, c.total)
	}
	d.Count = min(d.Count, refused)
	switch {
	case maybe:
		why = "values that it refuses were used before and after this phase, and perhaps in it"
	case known == 0:
		why = "it looks at arguments, and no values were counted"
	case known < all:
		why = fmt.Sprintf("it looks at arguments, and the values of %d of %d uses were counted", known, all)
	}
	return d, why
}
