package policy

import (
	"cmp"
	"maps"
	"slices"
)

// Origin says where a reason comes from.
type Origin string

// The origins.
const (
	OriginObserved  Origin = "observed"  // a recording saw the call
	OriginEssential Origin = "essential" // no program can do without it
	OriginHand      Origin = "hand"      // an edit
	OriginImported  Origin = "imported"  // another tool's profile; of conditions alone
)

// Reason is one thing that speaks for or against a call.
type Reason struct {
	Origin Origin
	Phase  Phase // of observed and hand reasons
	Text   string
	Use    *Use // of observed reasons
}

// Entry is all that a policy knows of one call. What its maps, slices and
// pointers lead to is shared: read only.
type Entry struct {
	Call   Call
	Boot   bool     // the wide filter allows it
	Run    bool     // the narrow filter allows it
	Seen   PhaseSet // where the recording saw it
	Why    []Reason
	Uses   map[Phase]Use
	Edited bool // an edit is about this call
	// Conditions narrow what Boot and Run allow: at most one for each filter, that
	// of the wide one first.
	Conditions []Conditional
	// Answers are what the call gets where the wide filter (Boot) or the narrow one
	// (Run) does not let it through, if edits say so of it alone.
	Answers map[Phase]Action
}

// Policy says what each phase may call, and why. It is a value, made by Derive
// and never changed. The zero Policy allows nothing.
type Policy struct {
	entries      []Entry // by name
	wide, narrow Set
	groups       map[Phase]Set // what each phase would add
	alone        map[Phase]Set // what the narrow filter allows for a group alone, or would
	essential    map[Call]string
	included     PhaseSet
	seen         PhaseSet // phases in which anything was seen
	gates        map[Call]gate
	values       map[Phase][]Seen // that were recorded: see Recorded
	answers      [2]Answers       // of the wide filter and of the narrow one
}

// Derive makes the policy that follows from what a recording saw and from the
// edits, in their order. It is pure: the same input gives the same policy, and
// after the split has moved the same edits hold. Edits that mean nothing (see
// Edit.Check) are passed over.
//
// The narrow filter allows what was seen in run, in stop unless that is left
// out, in admin unless that is left out, and in exec if that is included; and
// the essentials. The wide filter
// allows all of that and what was seen in boot. The container runtime's own
// calls (Init) are in neither.
func Derive(obs Observed, edits []Edit) Policy {
	d := newDraft(obs)
	for _, e := range edits {
		if e.Check() == nil {
			d.edit(e)
		}
	}
	return d.policy()
}

// Entries returns one entry for each call that was seen, is essential or was
// edited, sorted by name.
func (p Policy) Entries() []Entry { return slices.Clone(p.entries) }

// Entry returns the entry of one call.
func (p Policy) Entry(c Call) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(p.entries, c, func(e Entry, c Call) int {
		return compareNames(e.Call, c)
	})
	if !ok {
		return Entry{}, false
	}
	return p.entries[i], true
}

// compareNames orders by name: the native ABI first, then the others by prefix.
func compareNames(a, b Call) int {
	if n := cmp.Compare(a.ABI, b.ABI); n != 0 {
		switch Native() {
		case a.ABI:
			return -1
		case b.ABI:
			return 1
		}
		return n
	}
	return cmp.Or(cmp.Compare(a.Name(), b.Name()), a.Compare(b))
}

// Included reports whether what was seen in a phase goes into the filters. Boot
// and Run always do, Init never; Stop and Admin do and Exec does not unless
// edited.
func (p Policy) Included(ph Phase) bool { return p.included.Has(ph) }

// Saw reports whether anything was seen in a phase.
func (p Policy) Saw(ph Phase) bool { return p.seen.Has(ph) }

// Alone returns the calls, by name, that the narrow filter allows for one group
// of calls (Stop, Exec, Admin) and for nothing else: what leaving it out gains.
// Of a group that is left out, it is what including it would add.
func (p Policy) Alone(ph Phase) []Call {
	return slices.SortedFunc(p.alone[ph].All(), compareNames)
}

// Wide returns what the first filter of a container allows, calls with conditions
// among them.
func (p Policy) Wide() Set { return p.wide }

// Narrow returns what is allowed once the split is crossed, a subset of Wide,
// calls with conditions among them.
func (p Policy) Narrow() Set { return p.narrow }

// StartSpec is the filter of a two-phase start: what only boot needs goes to a
// supervisor, who allows it until the split is crossed.
//
// Of a call with conditions in run alone, the kernel lets through what they allow,
// and the supervisor is asked for all else. What neither filter lets through gets
// the answer of the wide one.
func (p Policy) StartSpec() Spec {
	wide, s := p.WideSpec(), p.NarrowSpec()
	s.Answers = wide.Answers
	s.Notify = wide.Allow.Minus(s.Allow)
	for _, r := range wide.When {
		if !slices.ContainsFunc(s.When, func(have Rule) bool { return have.Call == r.Call && slices.Equal(have.When, r.When) }) {
			s.When = append(s.When, Rule{Call: r.Call, Action: ActNotify, When: r.When})
		}
	}
	return s
}

// LateSpec is StartSpec for processes that come into a target later (Exec): what such
// ones were seen to call is let through by the supervisor, too, whether the phase is
// included or not.
func (p Policy) LateSpec() Spec {
	s := p.StartSpec()
	s.Notify = s.Notify.Union(p.groups[Exec].Minus(s.Allow))
	return s
}

// RunningSpec is the filter of a hold on processes that run already, under who knows
// what: a supervisor decides on all that run does not need, and nothing fails by the
// filter itself. While the supervisor allows it, the processes are what they were.
func (p Policy) RunningSpec() Spec {
	s := p.NarrowSpec()
	s.Answers = Answers{Denied: ActNotify, Newer: ActNotify}
	return s
}

// WideSpec is the filter of a container that is never narrowed.
func (p Policy) WideSpec() Spec { return p.spec(Boot, p.wide) }

// NarrowSpec is the filter that inject and seal make permanent. It also says
// which error a supervisor gives once the split is crossed: NarrowSpec().Want(c), or
// EPERM where that is no error, which a supervisor cannot give.
func (p Policy) NarrowSpec() Spec { return p.spec(Run, p.narrow) }

// groupCalls returns the calls of a phase that the narrow filter does not allow.
func (p Policy) groupCalls(ph Phase) []Call {
	return slices.SortedFunc(p.groups[ph].Minus(p.narrow).All(), compareNames)
}

// essentialCalls returns the essential calls in the order of their names.
func (p Policy) essentialCalls() []Call {
	return slices.SortedFunc(maps.Keys(p.essential), compareNames)
}
