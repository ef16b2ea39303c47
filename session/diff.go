package session

import (
	"maps"
	"slices"
	"strings"

	"speaker/policy"
)

// Part is one thing in which two sides were compared, and how they differ in it.
type Part struct {
	Name         string        // "seen in boot", "wide filter"
	CountA       int           // calls that A has, or lets through
	CountB       int           // the same of B
	OnlyA, OnlyB []policy.Call // by ABI and number
	Changed      []Change
}

// Change is a call that both sides speak of, and answer differently.
type Change struct {
	Call policy.Call
	A, B string // "allow if arg0 == 0x2, else EPERM"
}

// Same reports whether the sides do not differ.
func (p Part) Same() bool { return len(p.OnlyA)+len(p.OnlyB)+len(p.Changed) == 0 }

// Diff compares what two sessions, each cut at its split, saw in every phase and
// what their filters allow. What the container runtime called before the program
// began is left out: no filter is there yet, and it differs from run to run.
func Diff(a *Session, spA Split, b *Session, spB Split) []Part {
	var out []Part
	seenA, seenB := a.Observed(spA), b.Observed(spB)
	phases := slices.Sorted(maps.Keys(seenA))
	phases = append(phases, slices.Sorted(maps.Keys(seenB))...)
	slices.Sort(phases)
	for _, ph := range slices.Compact(phases) {
		if ph != policy.Init {
			out = append(out, diffSets("seen in "+ph.String(), callsOf(seenA[ph]), callsOf(seenB[ph])))
		}
	}
	pA, pB := a.Policy(spA), b.Policy(spB)
	return append(out, DiffFilters("wide filter", FilterOf(pA.WideSpec()), FilterOf(pB.WideSpec())),
		DiffFilters("narrow filter", FilterOf(pA.NarrowSpec()), FilterOf(pB.NarrowSpec())))
}

func callsOf(uses []policy.Use) policy.Set {
	calls := make([]policy.Call, len(uses))
	for i, u := range uses {
		calls[i] = u.Call
	}
	return policy.NewSet(calls...)
}

func diffSets(name string, a, b policy.Set) Part {
	return Part{Name: name, CountA: a.Len(), CountB: b.Len(), OnlyA: a.Minus(b).Calls(), OnlyB: b.Minus(a).Calls()}
}

// Filter is what one side answers to every call, in a form that can be compared.
type Filter struct {
	answer func(policy.Call) answer
	abis   []policy.ABI  // of which anything is let through
	calls  []policy.Call // without a name, that it speaks of
}

// answer is a filter's answer to one call, whatever its arguments.
type answer struct {
	passes, partly bool // always, or for some arguments
	text           string
}

// FilterOf is the filter that a spec describes.
func FilterOf(s policy.Spec) Filter {
	conditional := s.Conditional()
	calls := s.Allow.Union(s.Notify).Union(conditional).Calls()
	f := Filter{calls: calls, answer: func(c policy.Call) answer {
		want := s.Want(c)
		if !conditional.Has(c) {
			return answer{passes: want.Allows(), text: want.String()}
		}
		return answer{partly: true, text: conditionsText(s, c)}
	}}
	for _, c := range calls {
		f.abis = append(f.abis, c.ABI)
	}
	return f
}

// conditionsText words what a spec answers to a call with conditions, as rulesText
// does.
func conditionsText(s policy.Spec, c policy.Call) string {
	var out []string
	for _, rule := range s.When {
		if rule.Call == c {
			_, text, _ := strings.Cut(rule.String(), ": ")
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return strings.Join(append(out, s.Want(c).String()), ", else ")
}

// FilterOfRules is the filter that rules describe.
func FilterOfRules(r policy.Rules) Filter {
	always, partly := r.Allowed()
	f := Filter{calls: always.Union(partly).Calls(), answer: func(c policy.Call) answer {
		return answer{always.Has(c), partly.Has(c), rulesText(r, c)}
	}}
	for _, rule := range r.All() {
		f.calls = append(f.calls, rule.Call)
	}
	for _, c := range f.calls {
		if always.Has(c) || partly.Has(c) {
			f.abis = append(f.abis, c.ABI)
		}
	}
	return f
}

// rulesText words what rules answer to a call.
func rulesText(r policy.Rules, c policy.Call) string {
	var out []string
	for _, rule := range r.Of(c) {
		if len(rule.When) == 0 {
			return rule.Action.String()
		}
		_, text, _ := strings.Cut(rule.String(), ": ")
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(append(out, r.Otherwise(c).String()), ", else ")
}

// DiffFilters compares two filters: which calls only one of them lets through,
// and which both speak of with other conditions or other errors.
func DiffFilters(name string, a, b Filter) Part {
	p := Part{Name: name}
	for _, c := range domain(a, b) {
		x, y := a.answer(c), b.answer(c)
		inA, inB := x.passes || x.partly, y.passes || y.partly
		if inA {
			p.CountA++
		}
		if inB {
			p.CountB++
		}
		switch {
		case inA && !inB:
			p.OnlyA = append(p.OnlyA, c)
		case inB && !inA:
			p.OnlyB = append(p.OnlyB, c)
		case x.text != y.text && (inA || a.speaks(c.ABI) && b.speaks(c.ABI)):
			p.Changed = append(p.Changed, Change{c, x.text, y.text})
		}
	}
	return p
}

// domain are the calls that two filters are compared for: all that have a name or
// that one of them speaks of, of the ABIs of which one lets anything through.
func domain(a, b Filter) []policy.Call {
	abis := slices.Concat(a.abis, b.abis)
	slices.Sort(abis)
	abis = slices.Compact(abis)
	var out []policy.Call
	for _, abi := range abis {
		out = append(out, policy.Calls(abi)...)
	}
	for _, c := range slices.Concat(a.calls, b.calls) {
		if slices.Contains(abis, c.ABI) {
			out = append(out, c)
		}
	}
	return policy.NewSet(out...).Calls()
}

func (f Filter) speaks(a policy.ABI) bool { return slices.Contains(f.abis, a) }
