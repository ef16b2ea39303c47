package session

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"speaker/policy"
	"speaker/trace"
)

// maxRunValues is how many argument values a merged session keeps of one run.
const maxRunValues = 1024

// RunValue is how often a call had certain arguments in a run, and in which phases that
// may have been. Its times are offsets from the split.
type RunValue struct {
	Argument
	Phases policy.PhaseSet
}

// ownValues are the argument values of a recording cut at sp; whole is unset when some
// of those that were used are not among them. The session is locked.
func (s *Session) ownValues(sp Split) (list []RunValue, whole bool) {
	windows := s.windows(sp)
	for _, a := range s.sortedArguments() {
		v := RunValue{Argument: a}
		for _, w := range windows {
			reaches := func(x stretch) bool { return a.Last > x.from && a.First <= x.to }
			if w.group == a.Group && slices.ContainsFunc(w.spans, reaches) {
				v.Phases |= policy.PhasesOf(w.phase)
			}
		}
		v.First, v.Last = a.First-sp.At, a.Last-sp.At
		list = append(list, v)
	}
	whole = s.table.lostBefore(len(s.table.lost)).ArgsDropped == 0 && len(list) < maxArguments
	if len(list) > maxRunValues {
		slices.SortStableFunc(list, func(a, b RunValue) int { return cmp.Compare(b.Count, a.Count) })
		list, whole = list[:maxRunValues], false
		slices.SortFunc(list, func(a, b RunValue) int { return a.key().compare(b.key()) })
	}
	return list, whole
}

// compare orders as sortedArguments does.
func (k argKey) compare(o argKey) int {
	return cmp.Or(cmp.Compare(k.group, o.group), compareCalls(k.call, o.call), cmp.Compare(k.n, o.n), slices.Compare(k.values[:], o.values[:]))
}

// addValues adds up values of several runs, or with joined puts those of two versions of
// one run together.
func addValues(a, b []RunValue, joined bool) []RunValue {
	by := map[argKey]RunValue{}
	for _, v := range slices.Concat(a, b) {
		old, ok := by[v.key()]
		if ok {
			v.First, v.Last, v.Phases = min(v.First, old.First), max(v.Last, old.Last), v.Phases|old.Phases
			if joined {
				v.Count = max(v.Count, old.Count)
			} else {
				v.Count += old.Count
			}
		}
		by[v.key()] = v
	}
	return slices.SortedFunc(maps.Values(by), func(a, b RunValue) int { return a.key().compare(b.key()) })
}

// takeValues adds the values of one more run.
func (m *merged) takeValues(r Run) {
	if m.values = addValues(m.values, r.Values, false); len(m.values) > maxArguments {
		m.values, m.valuesCut = m.values[:maxArguments], true
	}
}

// unknownValues is of how many runs the argument values are not known, or not all.
func (m *merged) unknownValues() (n int) {
	for _, r := range m.runs {
		if !r.ValuesWhole {
			n++
		}
	}
	if m.valuesCut {
		n = max(n, 1)
	}
	return n
}

// valuesNote says so, "" when all are known.
func (m *merged) valuesNote() string {
	n := m.unknownValues()
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("of %d of %s not all values are known", n, count(len(m.runs), "run"))
}

// wireRunValue is a RunValue in a file.
type wireRunValue struct {
	_      struct{} `cbor:",toarray"`
	Group  trace.Group
	ABI    policy.ABI
	Nr     uint32
	Values []uint64
	Count  uint64
	First  int64
	Last   int64
	Phases uint8
}

func wireRunValues(list []RunValue) (out []wireRunValue) {
	for _, v := range list {
		out = append(out, wireRunValue{Group: v.Group, ABI: v.Call.ABI, Nr: v.Call.Nr, Values: v.Values, Count: v.Count,
			First: int64(v.First), Last: int64(v.Last), Phases: uint8(v.Phases)})
	}
	return out
}

// runValues checks and unpacks them: they come from a file.
func runValues(ws []wireRunValue) ([]RunValue, error) {
	if len(ws) > maxRunValues {
		return nil, fmt.Errorf("%w: %d values of a run", errFrame, len(ws))
	}
	var out []RunValue
	for _, w := range ws {
		// Argument values lie before the split as well as after it.
		a, err := wireArgument{Group: w.Group, ABI: w.ABI, Nr: w.Nr, Values: w.Values, Count: w.Count, First: w.First, Last: w.Last}.argument()
		if err != nil {
			return nil, err
		}
		out = append(out, RunValue{a, policy.PhaseSet(w.Phases)})
	}
	return addValues(out, nil, true), nil
}

// byRuns judges a call of a merged session by the argument values of its runs, as
// byValue does by those of one recording.
func (m *merged) byRuns(d Denied, rules policy.Rules) (_ Denied, why string) {
	known, maybe := uint64(0), false
	for _, v := range m.values {
		if v.Call != d.Call || !v.Phases.Has(d.Phase) {
			continue
		}
		action, ok := rules.Given(v.Seen())
		if !ok {
			return d, "it looks at arguments whose values are not counted"
		}
		if known += v.Count; action.Allows() {
			continue
		}
		if v.Phases != policy.PhasesOf(d.Phase) {
			maybe = true
			continue
		}
		d.Refused, d.Answer = append(d.Refused, v.Seen()), action
	}
	all, refused := d.Count, uint64(0)
	for _, v := range d.Refused {
		refused += v.Count
	}
	d.Count = min(all, refused)
	switch note := m.valuesNote(); {
	case maybe:
		why = "values that it refuses were used in other phases too, and perhaps in this one"
	case known == 0:
		why = "it looks at arguments, and no values were counted"
	case note != "":
		why = "it looks at arguments, and " + note
	case known < all:
		why = fmt.Sprintf("it looks at arguments, and the values of %d of %d uses were counted", known, all)
	}
	return d, why
}

// inPhases adds the values of all runs to those of each phase.
func (m *merged) inPhases(out map[policy.Phase][]Argument) map[policy.Phase][]Argument {
	if len(m.values) > 0 && out == nil {
		out = map[policy.Phase][]Argument{}
	}
	for _, v := range m.values {
		for _, ph := range policy.Phases() {
			if v.Phases.Has(ph) {
				out[ph] = append(out[ph], v.Argument)
			}
		}
	}
	return out
}
