package bench

import (
	"cmp"
	"fmt"
	"slices"

	"speaker/policy"
	"speaker/trace"
)

// Refused is how often, since the dry run began, a call that run allows had values that
// the conditions on it refuse. Who made the calls is not counted.
type Refused struct {
	policy.Seen
	Group trace.Group
}

// judgedValues is what the dry run knows of the arguments of calls with conditions. The
// kernel counts the values that decide what a call does, so that what the conditions
// look at besides is not known.
type judgedValues struct {
	began   map[valuesKey]uint64 // counts from before the dry run
	dropped uint64               // calls whose values were not counted, before it
}

// valuesKey tells counted values apart.
type valuesKey struct {
	group  trace.Group
	abi    trace.ABI
	nr     uint32
	values [2]uint64
}

func keyOf(r trace.ArgRow) valuesKey { return valuesKey{r.Group, r.ABI, r.Nr, r.Values} }

// beginValues notes what was counted before the dry run.
func (w *live) beginValues() (judgedValues, error) {
	rows, err := w.life.Arguments()
	if err != nil {
		return judgedValues{}, err
	}
	j := judgedValues{began: map[valuesKey]uint64{}, dropped: w.sess.Lost().ArgsDropped}
	for _, r := range rows {
		j.began[keyOf(r)] = r.Count
	}
	return j, nil
}

// judgeValues says which calls that run allows would be refused for their arguments,
// most often first, and in sentences what of that is not known.
func (w *live) judgeValues(p policy.Policy, j judgedValues) (refused []Refused, unsure []string) {
	conditional := p.Conditional(policy.Run)
	if conditional.Len() == 0 {
		return nil, nil
	}
	rows, err := w.life.Arguments()
	if err != nil {
		return nil, []string{"the arguments of calls with conditions cannot be read: " + err.Error()}
	}
	for _, r := range rows {
		r.Count -= min(r.Count, j.began[keyOf(r)])
		seen := policy.Seen{Call: policy.Call{ABI: policy.ABI(r.ABI), Nr: r.Nr}, Values: slices.Clone(r.Values[:r.N]), Count: r.Count}
		if r.Group != trace.Init && r.Count > 0 && conditional.Has(seen.Call) && p.Refuses(policy.Run, seen) {
			refused = append(refused, Refused{seen, r.Group})
		}
	}
	slices.SortFunc(refused, func(a, b Refused) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Call.Compare(b.Call), slices.Compare(a.Values, b.Values))
	})
	for c := range conditional.All() {
		if !p.Judged(policy.Run, c) {
			unsure = append(unsure, fmt.Sprintf("%s: its condition looks at arguments whose values are not counted", c))
		}
	}
	if more := w.sess.Lost().ArgsDropped - min(w.sess.Lost().ArgsDropped, j.dropped); more > 0 {
		unsure = append(unsure, fmt.Sprintf("%d calls had values that were not counted, for there are too many different ones", more))
	}
	return refused, unsure
}
