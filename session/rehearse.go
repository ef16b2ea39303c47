package session

import (
	"cmp"
	"slices"
	"time"

	"speaker/policy"
)

// Denied is a call that the recording has and the policy refuses.
type Denied struct {
	Call  policy.Call
	Phase policy.Phase
	Count uint64
	// First and Last are the first and the last use of this recording that would
	// have been refused; both 0 when it saw none. Count holds earlier ones, too.
	First, Last time.Duration
	// InFlight: a thread was asleep in the call; it is refused when the kernel
	// restarts the call.
	InFlight bool
}

// Rehearsal is how a recording would have fared under a policy.
type Rehearsal struct {
	Denied []Denied      // by phase, then by first use
	Unused []policy.Call // allowed by the wide filter, and used by nobody
}

// Rehearse runs a recording, cut at sp, against p, without a kernel. Boot is
// held against the wide filter; run, stop and processes that entered later
// against the narrow one. The container runtime's own calls before the
// program's first exec are made before a filter stands and are not judged.
func Rehearse(s *Session, sp Split, p policy.Policy) Rehearsal {
	var out Rehearsal
	obs := s.Observed(sp)
	used := map[policy.Call]bool{}
	wide, narrow := p.Wide(), p.Narrow()
	for phase, uses := range obs {
		if phase == policy.Init {
			continue
		}
		set := narrow
		if phase == policy.Boot {
			set = wide
		}
		for _, u := range uses {
			used[u.Call] = true
			if !set.Has(u.Call) {
				out.Denied = append(out.Denied, Denied{u.Call, phase, u.Count + u.Earlier, u.First, u.Last, u.InFlight})
			}
		}
	}
	slices.SortFunc(out.Denied, func(a, b Denied) int {
		return cmp.Or(cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.First, b.First), compareCalls(a.Call, b.Call))
	})
	for _, c := range wide.Calls() {
		if !used[c] {
			out.Unused = append(out.Unused, c)
		}
	}
	return out
}
