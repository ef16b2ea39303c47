package policy

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sys/unix"
)

// Recovered is what a stack of filters answers to one call.
type Recovered struct {
	// Rules are the answers that hold under conditions, Otherwise that to all other
	// arguments.
	Rules     []Rule
	Otherwise Action
	// Unclear is set when the filters look at arguments in a way that is not found
	// out: Otherwise is then their answer to arguments that are all 0, or to one
	// more kind of them.
	Unclear bool
}

// Bounds on a search: filters come from other processes and from files.
const (
	maxPaths = 512    // ways through the filters of one call
	maxSteps = 200000 // instructions on all of them
)

var errUnclear = errors.New("looks at arguments in a way that is not found out")

// Recover finds out what a stack of filters, oldest first, answers to a call and
// which arguments it depends on. What it returns was held against the filters at
// every edge of the conditions that it found. An error means that the kernel would
// not have loaded the filters.
func Recover(chain [][]unix.SockFilter, c Call) (Recovered, error) {
	zero, err := EvalAll(chain, DataOf(c))
	if err != nil {
		return Recovered{}, err
	}
	paths := []path{newPath()}
	paths[0].answer = ActAllow
	for _, f := range chain {
		next, err := walk(f, c)
		if err != nil {
			return Recovered{Otherwise: zero, Unclear: true}, nil
		}
		if paths = combine(paths, next); paths == nil {
			return Recovered{Otherwise: zero, Unclear: true}, nil
		}
	}
	out := rulesOf(paths, c)
	if out.Unclear || !out.check(chain, c) {
		return Recovered{Otherwise: zero, Unclear: true}, nil
	}
	return out, nil
}

// check holds what was recovered against the filters.
func (r Recovered) check(chain [][]unix.SockFilter, c Call) bool {
	for _, args := range Edges(r.Rules) {
		d := DataOf(c)
		d.Args = args
		got, err := EvalAll(chain, d)
		if err != nil || got != r.want(c, args) {
			return false
		}
	}
	return true
}

func (r Recovered) want(c Call, args Args) Action {
	for _, rule := range r.Rules {
		if allHold(rule.When, c.ABI.Seen(args)) {
			return rule.Action
		}
	}
	return r.Otherwise
}

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

// rulesOf words ways as rules: those of all answers but one, which is that of all
// other arguments.
func rulesOf(paths []path, c Call) Recovered {
	by := map[Action][]path{}
	for _, p := range paths {
		by[p.answer] = append(by[p.answer], p)
	}
	if len(by) == 1 {
		return Recovered{Otherwise: paths[0].answer}
	}
	said := map[Action][]Rule{} // answers whose ways can all be said
	var unsaid []Action
	for a, list := range by {
		if rules, ok := conditionsOf(list, c, a); ok {
			said[a] = rules
		} else {
			unsaid = append(unsaid, a)
		}
	}
	if len(unsaid) > 1 {
		return Recovered{Unclear: true}
	}
	var out Recovered
	if len(unsaid) == 1 {
		out.Otherwise = unsaid[0]
	} else {
		out.Otherwise = fallbackOf(said)
	}
	for a, rules := range said {
		if a != out.Otherwise {
			out.Rules = append(out.Rules, rules...)
		}
	}
	slices.SortFunc(out.Rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), slices.CompareFunc(a.When, b.When, Condition.order))
	})
	return out
}

// fallbackOf picks the answer that takes the most words, of equal ones the
// strictest.
func fallbackOf(said map[Action][]Rule) Action {
	var best Action
	most := -1
	for a, rules := range said {
		n := 0
		for _, r := range rules {
			n += 1 + len(r.When)
		}
		if n > most || n == most && a.stricter(best) {
			best, most = a, n
		}
	}
	return best
}

// conditionsOf words the ways to one answer. ok is false when some cannot be said
// in conditions.
func conditionsOf(paths []path, c Call, a Action) (rules []Rule, ok bool) {
	var areas []area
	for _, p := range paths {
		more, ok := p.areas(c.ABI)
		if !ok || len(areas)+len(more) > maxAreas {
			return nil, false
		}
		areas = append(areas, more...)
	}
	for _, x := range merge(areas) {
		rules = append(rules, Rule{Call: c, Action: a, When: x.conditions()})
	}
	return rules, true
}

// String words it: "allow if arg0 == 0x2; else EPERM".
func (r Recovered) String() string {
	if r.Unclear {
		return fmt.Sprintf("%s, and more that %s", r.Otherwise, errUnclear)
	}
	out := ""
	for _, rule := range r.Rules {
		for i, c := range rule.When {
			out += []string{rule.Action.String() + " if ", " and "}[min(i, 1)] + c.String()
		}
		out += "; "
	}
	if out == "" {
		return r.Otherwise.String()
	}
	return out + "else " + r.Otherwise.String()
}
