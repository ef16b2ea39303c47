package policy

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

// Bounds on a search: filters come from other processes and from files.
const (
	maxPaths = 512    // ways through the filters of one call
	maxSteps = 200000 // instructions on all of them
)

var errUnclear = errors.New("looks at arguments in a way that is not found out")

// value is what a register holds: a number, or half an argument under a mask.
type value struct {
	half int // -1: a number
	mask uint32
	n    uint32
}

func number(n uint32) value { return value{half: -1, n: n} }

// state is a machine on its way.
type state struct {
	path
	pc   int
	a, x value
	mem  [16]value
}

// walk follows every way through a filter that has been checked to run.
func walk(f []unix.SockFilter, c Call) ([]path, error) {
	var done []path
	todo := []state{{path: newPath(), a: number(0), x: number(0)}}
	for steps := 0; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for {
			if steps++; steps > maxSteps || len(done)+len(todo) > maxPaths {
				return nil, errUnclear
			}
			if s.pc >= len(f) {
				return nil, errUnclear
			}
			in := f[s.pc]
			if in.Code&7 == unix.BPF_RET {
				answer, err := s.ret(in)
				if err != nil {
					return nil, err
				}
				s.answer = answer
				done = append(done, s.path)
				break
			}
			other, err := s.step(in, DataOf(c))
			if err != nil {
				return nil, err
			}
			if other != nil {
				todo = append(todo, *other)
			}
			if s.pc < 0 { // neither way was possible: no arguments lead here
				break
			}
		}
	}
	return done, nil
}

func (s *state) ret(in unix.SockFilter) (Action, error) {
	if in.Code == unix.BPF_RET|unix.BPF_K {
		return Action(in.K), nil
	}
	if in.Code == unix.BPF_RET|unix.BPF_A && s.a.half < 0 {
		return Action(s.a.n), nil
	}
	return 0, errUnclear
}

// step runs an instruction. other is the machine that takes the other way.
func (s *state) step(in unix.SockFilter, d Data) (other *state, err error) {
	if in.Code&7 == unix.BPF_JMP {
		return s.jump(in)
	}
	s.pc++
	switch in.Code {
	case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
		s.a, err = loaded(in.K, d)
	case unix.BPF_LD | unix.BPF_IMM:
		s.a = number(in.K)
	case unix.BPF_LDX | unix.BPF_IMM:
		s.x = number(in.K)
	case unix.BPF_LD | unix.BPF_MEM:
		s.a, err = s.word(in.K)
	case unix.BPF_LDX | unix.BPF_MEM:
		s.x, err = s.word(in.K)
	case unix.BPF_ST, unix.BPF_STX:
		if in.K >= uint32(len(s.mem)) {
			return nil, errUnclear
		}
		s.mem[in.K] = s.a
		if in.Code == unix.BPF_STX {
			s.mem[in.K] = s.x
		}
	case unix.BPF_MISC | unix.BPF_TAX:
		s.x = s.a
	case unix.BPF_MISC | unix.BPF_TXA:
		s.a = s.x
	default:
		err = s.compute(in)
	}
	return nil, err
}

func (s *state) word(k uint32) (value, error) {
	if k >= uint32(len(s.mem)) {
		return value{}, errUnclear
	}
	return s.mem[k], nil
}

// loaded is a word of the call's data.
func loaded(offset uint32, d Data) (value, error) {
	switch {
	case offset >= dataSize || offset%4 != 0:
		return value{}, errUnclear
	case offset < 8:
		return number(d.word(offset)), nil
	case offset < offsetArgs: // where the program is: no condition has that
		return value{}, errUnclear
	}
	return value{half: int(offset-offsetArgs) / 4, mask: math.MaxUint32}, nil
}

// compute runs an ALU instruction: any on numbers, and on arguments to mask them.
func (s *state) compute(in unix.SockFilter) error {
	if in.Code&7 != unix.BPF_ALU {
		return errUnclear
	}
	operand := number(in.K)
	if in.Code&unix.BPF_X != 0 {
		operand = s.x
	}
	switch {
	case s.a.half < 0 && operand.half < 0:
		m := machine{a: s.a.n, x: operand.n}
		if err := m.compute(in); err != nil {
			return errUnclear
		}
		s.a.n = m.a
		return nil
	case in.Code&0xf0 == unix.BPF_AND && s.a.half >= 0 && operand.half < 0:
		s.a.mask &= operand.n
		return nil
	}
	return errUnclear
}

// jump takes the way that the arguments so far decide, or both.
func (s *state) jump(in unix.SockFilter) (other *state, err error) {
	if in.Code == unix.BPF_JMP|unix.BPF_JA {
		s.pc += 1 + int(in.K)
		return nil, nil
	}
	k := number(in.K)
	if in.Code&unix.BPF_X != 0 {
		k = s.x
	}
	if k.half >= 0 {
		return nil, errUnclear
	}
	yes, no := s.pc+1+int(in.Jt), s.pc+1+int(in.Jf)
	op := in.Code &^ unix.BPF_X
	if s.a.half < 0 {
		m := machine{a: s.a.n}
		skip, err := m.jump(unix.SockFilter{Code: op, K: k.n, Jt: in.Jt, Jf: in.Jf})
		if err != nil {
			return nil, errUnclear
		}
		s.pc += 1 + int(skip)
		return nil, nil
	}
	taken, left := *s, *s
	taken.pc, left.pc = yes, no
	if err := taken.learn(op, k.n, true); err != nil {
		return nil, err
	}
	if err := left.learn(op, k.n, false); err != nil {
		return nil, err
	}
	t, l := taken.possible(s.a.half), left.possible(s.a.half)
	switch {
	case t && l:
		*s = taken
		return &left, nil
	case t:
		*s = taken
	case l:
		*s = left
	default:
		s.pc = -1
	}
	return nil, nil
}
