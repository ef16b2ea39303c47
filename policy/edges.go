package policy

import (
	"math"
	"slices"
)

// maxEdges bounds the argument cases of one call. Where there would be more, not
// all of them are combined with each other.
const maxEdges = 20_000

// Edges returns arguments for which rules with these conditions could answer
// otherwise than for others: the values that the conditions name, those beside
// them, every bit of a mask turned, and the same with other high halves; combined
// with each other as far as they are few.
func Edges(rules []Rule) []Args {
	var values [len(Args{})][]uint64
	bases := []Args{{}}
	total := 1
	for _, r := range rules {
		if w, ok := Witness(r.When); ok {
			bases = append(bases, w)
		}
	}
	for i := range values {
		values[i] = edgeValues(rules, uint8(i))
		if total <= maxEdges {
			total *= len(values[i])
		}
	}
	if total <= maxEdges {
		return product(values)
	}
	var out []Args
	for _, base := range bases {
		for i, list := range values {
			for _, v := range list {
				if len(out) == maxEdges {
					return out
				}
				a := base
				a[i] = v
				out = append(out, a)
			}
		}
	}
	return out
}

// edgeValues returns the values of one argument that are worth a try.
func edgeValues(rules []Rule, arg uint8) []uint64 {
	out := []uint64{0}
	add := func(v uint64) { out = append(out, v, v^1<<32, v|0xffffffff<<32, v&math.MaxUint32) }
	for _, r := range rules {
		for _, c := range r.When {
			if c.Arg != arg {
				continue
			}
			add(c.Value)
			if c.Op != MaskedEqual {
				add(c.Value - 1)
				add(c.Value + 1)
				continue
			}
			add(c.Value | ^c.Mask)
			for bit := range 64 {
				if c.Mask>>bit&1 == 1 {
					out = append(out, c.Value^1<<bit)
				}
			}
		}
	}
	if len(out) > 1 {
		out = append(out, 1, math.MaxUint64, math.MaxUint32, math.MaxInt32, 1<<31, 1<<63)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// product combines each value of each argument with all others.
func product(values [len(Args{})][]uint64) []Args {
	out := []Args{{}}
	for i, list := range values {
		var next []Args
		for _, a := range out {
			for _, v := range list {
				a[i] = v
				next = append(next, a)
			}
		}
		out = next
	}
	return out
}
