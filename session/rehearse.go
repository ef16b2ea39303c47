package session

import (
	"cmp"
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
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
	// By are the processes that made the call in the phase, those of which that
	// is sure first; none when calls were not counted per process. Callers counts
	// those that were left out, too.
	By      []Caller
	Callers int
	// Samples are the newest ones of the call in the phase that are kept.
	Samples []Sample
	// Refused are set where the call is allowed, and a condition on it refuses
	// these values alone. Count, First and Last are then theirs, and those of all
	// phases that they may have been used in.
	Refused []policy.Seen
	// Answer is what it would have got.
	Answer policy.Action
}

// Caller is a process that made a call in a phase, as far as its first and last
// use tell.
type Caller struct {
	ProcessUse
	// Sure is set when its first or its last use lies in the phase; else it may
	// have made the call before and after it only. Whole is set when both do, and
	// so all of Count.
	Sure, Whole bool
}

const (
	maxCallers   = 8 // of one denied call
	maxOfOneCall = 3 // samples of one denied call
)

// Rehearsal is how a recording would have fared under a policy. Essential calls
// are never idle: they are allowed for what no recording shows.
type Rehearsal struct {
	Denied []Denied      // by phase, then by first use
	Logged []Denied      // the same of what is not allowed and goes through all the same, for it is only logged
	Unused []policy.Call // allowed by the wide filter, and used by nobody
	Idle   []policy.Call // allowed by the narrow filter, and used by nobody after boot; by name
	// Unjudged are calls that were used and are allowed under conditions, of which
	// the recording does not have the arguments that these look at; by name.
	Unjudged []policy.Call
}

// Rehearse runs a recording, cut at sp, against p, without a kernel. Boot is
// held against the wide filter; run, stop, administration and processes that
// entered later against the narrow one. The container runtime's own calls before
// the program's first exec are made before a filter stands and are not judged.
func Rehearse(s *Session, sp Split, p policy.Policy) Rehearsal {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out Rehearsal
	used, late := map[policy.Call]bool{}, map[policy.Call]bool{}
	wide, narrow := p.WideSpec(), p.NarrowSpec()
	values := map[policy.Phase][]Argument{}
	if p.Conditional(policy.Boot).Len()+p.Conditional(policy.Run).Len() > 0 {
		values = s.values(sp)
	}
	for phase, uses := range s.observed(sp) {
		if phase == policy.Init {
			continue
		}
		spec, set := narrow, p.Narrow()
		if phase == policy.Boot {
			spec, set = wide, p.Wide()
		}
		for _, u := range uses {
			used[u.Call] = true
			late[u.Call] = late[u.Call] || phase != policy.Boot
			d := Denied{Call: u.Call, Phase: phase, Count: u.Count + u.Earlier, First: u.First, Last: u.Last,
				InFlight: u.InFlight, Answer: spec.Want(u.Call)}
			if !set.Has(u.Call) {
				out.refuse(d)
			} else {
				out.condition(p, d, u, values[phase], s.merged.unknownValues() == 0)
			}
		}
	}
	slices.SortFunc(out.Unjudged, func(a, b policy.Call) int { return cmp.Compare(a.String(), b.String()) })
	out.Unjudged = slices.Compact(out.Unjudged)
	slices.SortFunc(out.Denied, compareDenied)
	slices.SortFunc(out.Logged, compareDenied)
	for _, e := range p.Entries() {
		essential := slices.ContainsFunc(e.Why, func(r policy.Reason) bool { return r.Origin == policy.OriginEssential })
		if e.Boot && !used[e.Call] && !essential {
			out.Unused = append(out.Unused, e.Call)
		}
		if e.Run && !late[e.Call] && !essential {
			out.Idle = append(out.Idle, e.Call)
		}
	}
	s.tell(out.Denied, sp)
	s.tell(out.Logged, sp)
	return out
}

// refuse takes in a call that is not allowed.
func (r *Rehearsal) refuse(d Denied) {
	if d.Answer.Allows() {
		r.Logged = append(r.Logged, d)
	} else {
		r.Denied = append(r.Denied, d)
	}
}

// condition holds the recorded arguments of a call that is allowed against the
// conditions on it, if any. whole is unset where some of merged runs are not known.
func (r *Rehearsal) condition(p policy.Policy, d Denied, u policy.Use, values []Argument, whole bool) {
	ph, answer := d.Phase, d.Answer
	filter := policy.Run
	if ph == policy.Boot {
		filter = policy.Boot
	}
	if p.When(filter, u.Call) == nil {
		return
	}
	d = Denied{Call: u.Call, Phase: ph, Answer: answer}
	judged := false
	for _, a := range values {
		if a.Call != u.Call {
			continue
		}
		judged = true
		if !p.Refuses(filter, a.Seen()) {
			continue
		}
		if d.Count == 0 {
			d.First = a.First
		}
		d.Count += a.Count
		d.First, d.Last = min(d.First, a.First), max(d.Last, a.Last)
		d.Refused = append(d.Refused, a.Seen())
	}
	if d.Count > 0 {
		r.refuse(d)
	}
	if !judged || !p.Judged(filter, u.Call) || u.Earlier > 0 || u.OfRuns > 0 && !whole {
		r.Unjudged = append(r.Unjudged, u.Call)
	}
}

// compareDenied orders denied calls by phase, then by first use.
func compareDenied(a, b Denied) int {
	return cmp.Or(cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.First, b.First), compareCalls(a.Call, b.Call))
}

// tell finds who made the denied calls, and the samples of them.
func (s *Session) tell(denied []Denied, sp Split) {
	if len(denied) == 0 {
		return
	}
	spans := map[policy.Phase][]stretch{}
	groups := map[policy.Phase]trace.Group{}
	for _, w := range s.windows(sp) {
		spans[w.phase], groups[w.phase] = w.spans, w.group
	}
	byCall := map[key][]*Denied{}
	for i := range denied {
		d := &denied[i]
		if d.Refused != nil {
			continue // who made the call says nothing of who had these values
		}
		k := key{groups[d.Phase], d.Call}
		byCall[k] = append(byCall[k], d)
	}
	for _, u := range s.processes {
		for _, d := range byCall[key{u.Group, u.Call}] {
			d.calledBy(u, spans[d.Phase])
		}
	}
	s.sampled(byCall, spans)
}

// calledBy notes a process that made the call, if it can have in these spans. Those
// that count most are kept, in their order.
func (d *Denied) calledBy(u ProcessUse, spans []stretch) {
	if !overlap(spans, u.First, u.Last) {
		return
	}
	d.Callers++
	first, last := holds(spans, u.First), holds(spans, u.Last)
	c := Caller{u, first || last, first && last && len(spans) == 1}
	i := len(d.By)
	for i > 0 && compareCallers(&c, &d.By[i-1]) < 0 {
		i--
	}
	if i == maxCallers {
		return
	}
	d.By = slices.Insert(d.By[:min(len(d.By), maxCallers-1)], i, c)
}

// compareCallers orders those that are sure first, then by how often.
func compareCallers(a, b *Caller) int {
	if a.Sure != b.Sure {
		if a.Sure {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Pid, b.Pid))
}

// sampled adds the samples at hand, newest first.
func (s *Session) sampled(byCall map[key][]*Denied, spans map[policy.Phase][]stretch) {
	add := func(x Sample) {
		for _, d := range byCall[key{x.Group, x.Call}] {
			if holds(spans[d.Phase], x.At) && len(d.Samples) < maxOfOneCall && !slices.Contains(d.Samples, x) {
				d.Samples = append(d.Samples, x)
			}
		}
	}
	for _, x := range slices.Backward(s.samples.since(0)) {
		add(x)
	}
	for k := range byCall {
		if x, ok := s.samples.first[k]; ok {
			add(x)
		}
	}
}
