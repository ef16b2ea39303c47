package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// draft is a policy in the making.
type draft struct {
	entries   map[Call]*Entry
	groups    [phases]map[Call]bool // calls that each phase adds
	essential map[Call]string
	included  PhaseSet
	seen      PhaseSet
	decided   map[Call]decided
	// conditions are those of Boot and Run.
	conditions map[Call]map[Phase]Conditional
	answers    map[Phase]*answering
}

func newDraft(obs Observed) *draft {
	d := &draft{
		entries:   map[Call]*Entry{},
		essential: essentialsOf(Native()),
		included:  PhasesOf(Boot, Run, Stop, Admin),
		decided:   map[Call]decided{},

		conditions: map[Call]map[Phase]Conditional{},
		answers:    map[Phase]*answering{},
	}
	for ph := Init; ph < phases; ph++ {
		d.groups[ph] = map[Call]bool{}
		for _, u := range obs[ph] {
			if u.Call.ABI < abis {
				d.observe(ph, u)
			}
		}
	}
	for c, why := range d.essential {
		e := d.entry(c)
		e.Why = append(e.Why, Reason{Origin: OriginEssential, Text: why})
	}
	for _, e := range d.entries {
		e.Why = append(e.Why, observedReasons(e.Uses)...)
	}
	return d
}

func (d *draft) entry(c Call) *Entry {
	e := d.entries[c]
	if e == nil {
		e = &Entry{Call: c, Uses: map[Phase]Use{}}
		d.entries[c] = e
	}
	return e
}

// observe takes in one use. The same call may come more than once.
func (d *draft) observe(ph Phase, u Use) {
	e := d.entry(u.Call)
	if old, ok := e.Uses[ph]; ok {
		switch {
		case u.Count == 0: // and so no times
			u.First, u.Last = old.First, old.Last
		case old.Count > 0:
			u.First, u.Last = min(u.First, old.First), max(u.Last, old.Last)
		}
		u.Count += old.Count
		u.InFlight = u.InFlight || old.InFlight
		u.Earlier += old.Earlier
		u.Runs, u.OfRuns = max(u.Runs, old.Runs), max(u.OfRuns, old.OfRuns)
	}
	e.Uses[ph] = u
	e.Seen |= PhasesOf(ph)
	d.seen |= PhasesOf(ph)
	d.groups[ph][u.Call] = true
	if ph != Init {
		maps.Copy(d.essential, essentialsOf(u.Call.ABI))
	}
}

func observedReasons(uses map[Phase]Use) []Reason {
	var out []Reason
	for ph := Init; ph < phases; ph++ {
		u, ok := uses[ph]
		if !ok {
			continue
		}
		out = append(out, Reason{Origin: OriginObserved, Phase: ph, Text: u.text(), Use: &u})
	}
	return out
}

// text words a use.
func (u Use) text() string {
	times := func(n uint64) string {
		if n == 1 {
			return "seen once"
		}
		return fmt.Sprintf("seen %d times", n)
	}
	var out []string
	if u.Count > 0 || u.Earlier == 0 && !u.InFlight {
		out = append(out, times(u.Count))
	}
	if u.Count == 0 && u.InFlight {
		out = append(out, "a thread was asleep in it")
	}
	if u.OfRuns > 0 {
		out = append(out, "in "+u.Coverage())
	}
	if u.Earlier > 0 {
		out = append(out, times(u.Earlier)+" in another recording")
	}
	return strings.Join(out, ", ")
}

// SeenIn says in which phases the call was seen ("seen boot,run"), and for a merged
// session in how many of the recordings ("boot 5/5 run 2/5"); "" when in none.
func (e Entry) SeenIn() string {
	var out []string
	merged := false
	for ph := Init; ph < phases; ph++ {
		u := e.Uses[ph]
		switch {
		case ph == Init && e.Seen != PhasesOf(Init):
		case u.OfRuns > 0:
			merged = true
			out = append(out, fmt.Sprintf("%s %d/%d", ph, u.Runs, u.OfRuns))
		case e.Seen.Has(ph):
			out = append(out, ph.String())
		}
	}
	if !merged && e.Seen != 0 {
		return "seen " + e.Seen.String()
	}
	return strings.Join(out, " ")
}

// Total adds up the entry's uses over the phases.
func (e Entry) Total() Use {
	t := Use{Call: e.Call}
	for _, u := range e.Uses {
		t.Earlier += u.Earlier
		switch {
		case u.Count == 0:
			continue
		case t.Count == 0:
			t.First, t.Last = u.First, u.Last
		}
		t.First, t.Last = min(t.First, u.First), max(t.Last, u.Last)
		t.Count += u.Count
	}
	return t
}

// Coverage says how many of the recordings of a merged session saw the use: "2 of
// 5 runs"; "" when nothing was merged.
func (u Use) Coverage() string {
	if u.OfRuns == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d runs", u.Runs, u.OfRuns)
}

// edit takes in one edit that Check has passed.
func (d *draft) edit(e Edit) {
	switch e.Op {
	case OpInclude:
		d.included |= PhasesOf(e.Phase)
		return
	case OpLeaveOut:
		d.included &^= PhasesOf(e.Phase)
		return
	case OpCondition, OpNoCondition:
		d.condition(e)
		return
	case OpDenied, OpNewer, OpAnswer:
		d.answer(e)
		return
	}
	for _, c := range e.calls() {
		entry := d.entry(c)
		entry.Edited = true
		entry.Why = append(entry.Why, e.reason())
		if e.Phase.IsGroup() {
			d.groups[e.Phase][c] = e.allows()
		} else {
			d.decided[c] = d.decided[c].after(e)
		}
	}
}

// condition puts conditions on a call, or takes them off.
func (d *draft) condition(e Edit) {
	d.entry(e.Call).Edited = true
	if e.Op == OpNoCondition {
		delete(d.conditions[e.Call], e.Phase)
		return
	}
	if d.conditions[e.Call] == nil {
		d.conditions[e.Call] = map[Phase]Conditional{}
	}
	d.conditions[e.Call][e.Phase] = Conditional{Phase: e.Phase, When: e.When, Origin: e.From, Note: e.Note}
}

// gate puts the conditions on an entry's call into it. A narrow filter that no
// argument passes does not allow the call.
func (d *draft) gate(e *Entry) (gate, bool) {
	for _, ph := range []Phase{Boot, Run} {
		if c, ok := d.conditions[e.Call][ph]; ok {
			e.Conditions = append(e.Conditions, c)
		}
	}
	g := gateOf(e.Conditions)
	if g.narrow != nil && len(g.narrow) == 0 {
		e.Run = false
	}
	return g, len(e.Conditions) > 0
}

// allows says what the filters do with a call when some phases are included.
func (d *draft) allows(c Call, included PhaseSet) (wide, narrow bool) {
	_, narrow = d.essential[c]
	for _, ph := range []Phase{Run, Stop, Exec, Admin} {
		narrow = narrow || included.Has(ph) && d.groups[ph][c]
	}
	wide = narrow || d.groups[Boot][c]
	switch d.decided[c].narrow {
	case allowed:
		narrow = true
	case denied:
		narrow = false
	}
	switch d.decided[c].wide {
	case allowed:
		wide = true
	case denied:
		wide = false
	}
	return wide, narrow && wide
}

func (d *draft) policy() Policy {
	p := Policy{
		groups:    map[Phase]Set{},
		essential: d.essential,
		included:  d.included,
		seen:      d.seen,
		gates:     map[Call]gate{},
		answers:   [2]Answers{d.answersOf(Boot), d.answersOf(Run)},
	}
	for _, ph := range []Phase{Boot, Run} {
		for _, x := range p.Answers(ph).Single {
			e := d.entry(x.Call)
			if e.Answers == nil {
				e.Answers = map[Phase]Action{}
			}
			e.Answers[ph] = x.Action
		}
	}
	var wide, narrow []Call
	for c, e := range d.entries {
		e.Boot, e.Run = d.allows(c, d.included)
		if g, ok := d.gate(e); ok {
			p.gates[c] = g
		}
		if e.Boot {
			wide = append(wide, c)
		}
		if e.Run {
			narrow = append(narrow, c)
		}
		p.entries = append(p.entries, *e)
	}
	slices.SortFunc(p.entries, func(a, b Entry) int { return compareNames(a.Call, b.Call) })
	p.wide, p.narrow = NewSet(wide...), NewSet(narrow...)
	for ph, calls := range d.groups {
		var in []Call
		for c, yes := range calls {
			if yes {
				in = append(in, c)
			}
		}
		p.groups[Phase(ph)] = NewSet(in...)
	}
	p.alone = map[Phase]Set{}
	for _, ph := range groups {
		p.alone[ph] = p.groups[ph].filter(func(c Call) bool {
			_, with := d.allows(c, d.included|PhasesOf(ph))
			_, without := d.allows(c, d.included&^PhasesOf(ph))
			return with && !without
		})
	}
	return p
}
