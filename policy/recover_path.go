package policy

import (
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// half is what is known of half of an argument: a register of the machine.
type half struct {
	low, high  uint32
	mask, bits uint32 // bits that are known
	not        []maskedValue
}

// maskedValue is what a half is known not to be under a mask.
type maskedValue struct{ mask, bits uint32 }

// path is a way through a filter, and what the arguments are on it.
type path struct {
	halves [12]half // of argument i: 2i the lower, 2i+1 the upper
	used   [12]bool
	answer Action
}

func newPath() path {
	var p path
	for i := range p.halves {
		p.halves[i].high = math.MaxUint32
	}
	return p
}

// learn notes what a test of the accumulator against k came out as.
func (s *state) learn(op uint16, k uint32, yes bool) error {
	h := s.halves[s.a.half]
	h.not = slices.Clone(h.not)
	s.used[s.a.half] = true
	whole := s.a.mask == math.MaxUint32
	switch {
	case op == unix.BPF_JMP|unix.BPF_JSET:
		return s.learn2(h, maskedValue{s.a.mask & k, 0}, !yes)
	case op == unix.BPF_JMP|unix.BPF_JEQ:
		return s.learn2(h, maskedValue{s.a.mask, k}, yes)
	case !whole:
		return errUnclear
	case op == unix.BPF_JMP|unix.BPF_JGT && yes:
		if k == math.MaxUint32 {
			h.high, h.low = 0, 1
			break
		}
		h.low = max(h.low, k+1)
	case op == unix.BPF_JMP|unix.BPF_JGT:
		h.high = min(h.high, k)
	case op == unix.BPF_JMP|unix.BPF_JGE && yes:
		h.low = max(h.low, k)
	case op == unix.BPF_JMP|unix.BPF_JGE:
		if k == 0 {
			h.high, h.low = 0, 1
			break
		}
		h.high = min(h.high, k-1)
	default:
		return errUnclear
	}
	s.halves[s.a.half] = h
	return nil
}

// learn2 notes that a half is v under a mask, or is not.
func (s *state) learn2(h half, v maskedValue, is bool) error {
	switch {
	case !is:
		h.not = append(h.not, v)
	case v.bits&^v.mask != 0 || (h.bits^v.bits)&h.mask&v.mask != 0:
		h.low, h.high = 1, 0
	case v.mask == math.MaxUint32:
		h.low, h.high = max(h.low, v.bits), min(h.high, v.bits)
	default:
		h.mask, h.bits = h.mask|v.mask, h.bits|v.bits
	}
	s.halves[s.a.half] = h
	return nil
}

// possible reports whether a half can be what is known of it. Of what it is not
// under a mask only the plain cases count.
func (p *path) possible(i int) bool {
	h := p.halves[i]
	x, ok := smallestMasked(uint64(h.low), uint64(h.mask), uint64(h.bits))
	if !ok || x > uint64(h.high) {
		return false
	}
	for _, n := range h.not {
		if n.bits&^n.mask != 0 {
			continue // never is
		}
		if h.low == h.high && h.low&n.mask == n.bits || h.mask&n.mask == n.mask && h.bits&n.mask == n.bits {
			return false
		}
	}
	return true
}

// meet is what is known on both ways.
func (p path) meet(q path) (path, bool) {
	for i := range p.halves {
		h, o := &p.halves[i], q.halves[i]
		if !q.used[i] {
			continue
		}
		if (h.bits^o.bits)&h.mask&o.mask != 0 {
			return p, false
		}
		h.low, h.high = max(h.low, o.low), min(h.high, o.high)
		h.mask, h.bits = h.mask|o.mask, h.bits|o.bits
		h.not = slices.Concat(h.not, o.not)
		p.used[i] = true
		if !p.possible(i) {
			return p, false
		}
	}
	return p, true
}

// combine puts a newer filter over older ones. nil: there are too many ways.
func combine(older, newer []path) []path {
	if len(older) == 1 && older[0].used == [12]bool{} {
		for i := range newer {
			newer[i].answer = newer[i].answer.Over(older[0].answer)
		}
		return newer
	}
	var out []path
	for _, o := range older {
		for _, n := range newer {
			p, ok := n.meet(o)
			if !ok {
				continue
			}
			p.answer = n.answer.Over(o.answer)
			if out = append(out, p); len(out) > maxPaths {
				return nil
			}
		}
	}
	return out
}
