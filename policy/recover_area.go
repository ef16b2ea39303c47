package policy

import (
	"math"
	"slices"
)

// maxAreas bounds the ways to one answer, each of which is held against each.
const maxAreas = 128

// span is a range of values, both ends in it.
type span struct{ low, high uint64 }

// side is what one argument is: in a span, some bits under a mask, and not one
// value.
type side struct {
	span
	mask, bits uint64
	hole       bool
	not        uint64
}

// area is what all arguments are on a way through a filter.
type area [len(Args{})]side

var anySide = side{span: span{0, math.MaxUint64}}

// areas turns what is known of halves into what is known of arguments. ok is false
// when that takes more than conditions can say.
func (p path) areas(abi ABI) (out []area, ok bool) {
	out = []area{{}}
	for i := range len(area{}) {
		sides, ok := p.sides(i, abi)
		if !ok {
			return nil, false
		}
		var next []area
		for _, a := range out {
			for _, s := range sides {
				a[i] = s
				next = append(next, a)
			}
		}
		if out = next; len(out) > maxAreas {
			return nil, false
		}
	}
	return out, true
}

// sides words one argument. A half that is not some value parts it in two.
func (p path) sides(i int, abi ABI) (out []side, ok bool) {
	lower, upper := p.halves[2*i], p.halves[2*i+1]
	lowers, ok1 := lower.spans()
	if abi.Seen(Args{1 << 32})[0] == 0 { // what it says of upper halves does not count
		return lower.narrow(lowers), ok1
	}
	uppers, ok2 := upper.spans()
	if !ok1 || !ok2 {
		return nil, false
	}
	mask, bits := uint64(upper.mask)<<32|uint64(lower.mask), uint64(upper.bits)<<32|uint64(lower.bits)
	all := span{0, math.MaxUint32}
	for _, u := range uppers {
		for _, l := range lowers {
			s := side{mask: mask, bits: bits}
			switch {
			case l == all:
				s.span = span{u.low << 32, u.high<<32 | math.MaxUint32}
			case u.low == u.high:
				s.span = span{u.low<<32 | l.low, u.low<<32 | l.high}
			case l.low == l.high && u == all: // a lower half alone is a mask
				s.span = anySide.span
				s.mask, s.bits = s.mask|math.MaxUint32, s.bits|l.low
			default:
				return nil, false
			}
			out = append(out, s)
		}
	}
	return out, true
}

// narrow words the lower half of an argument that has no other.
func (h half) narrow(lowers []span) (out []side) {
	for _, l := range lowers {
		if l.high == math.MaxUint32 && l.low < l.high {
			l.high = math.MaxUint64
		}
		out = append(out, side{span: l, mask: uint64(h.mask), bits: uint64(h.bits)})
	}
	return out
}

// spans are the values of a half, less those that it is not.
func (h half) spans() ([]span, bool) {
	out := []span{{uint64(h.low), uint64(h.high)}}
	for _, n := range h.not {
		if n.bits&^n.mask != 0 {
			continue // it never is
		}
		if n.mask != math.MaxUint32 {
			return nil, false
		}
		var next []span
		for _, s := range out {
			v := uint64(n.bits)
			if v < s.low || v > s.high {
				next = append(next, s)
				continue
			}
			if v > s.low {
				next = append(next, span{s.low, v - 1})
			}
			if v < s.high {
				next = append(next, span{v + 1, s.high})
			}
		}
		if out = next; len(out) > maxPaths {
			return nil, false
		}
	}
	return out, true
}

// merge puts areas together that differ in one argument's span alone and touch.
func merge(areas []area) []area {
	for again := true; again; {
		again = false
		for i := 0; i < len(areas) && !again; i++ {
			for j := i + 1; j < len(areas); j++ {
				if m, ok := joined(areas[i], areas[j]); ok {
					areas[i] = m
					areas = slices.Delete(areas, j, j+1)
					again = true
					break
				}
			}
		}
	}
	return areas
}

func joined(a, b area) (area, bool) {
	at := -1
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		if at >= 0 || a[i].mask != b[i].mask || a[i].bits != b[i].bits || a[i].hole || b[i].hole {
			return a, false
		}
		at = i
	}
	if at < 0 {
		return a, true
	}
	x, y := a[at].span, b[at].span
	if x.low > y.low {
		x, y = y, x
	}
	if x.low == 0 && y.high == math.MaxUint64 && y.low > 1 && y.low-2 == x.high {
		a[at].span, a[at].hole, a[at].not = anySide.span, true, y.low-1
		return a, true
	}
	if y.low > x.high && y.low-1 != x.high {
		return a, false
	}
	a[at].span = span{x.low, max(x.high, y.high)}
	return a, true
}

// conditions words an area.
func (a area) conditions() []Condition {
	var when []Condition
	for i, s := range a {
		add := func(op Compare, v, mask uint64) {
			when = append(when, Condition{Arg: uint8(i), Op: op, Value: v, Mask: mask})
		}
		switch {
		case s.hole:
			add(NotEqual, s.not, 0)
		case s.low == s.high:
			add(Equal, s.low, 0)
		case s.low > 0 && s.high < math.MaxUint64:
			add(GreaterOrEqual, s.low, 0)
			add(LessOrEqual, s.high, 0)
		case s.low > 0:
			add(GreaterOrEqual, s.low, 0)
		case s.high < math.MaxUint64:
			add(LessOrEqual, s.high, 0)
		}
		if s.mask != 0 && s.low != s.high {
			add(MaskedEqual, s.bits, s.mask)
		}
	}
	return when
}
