package policy

import (
	"errors"
	"fmt"
	"math"

	seccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// CompileRules makes the filter of rules for this machine's kernel. As with
// Compile, calls of the native ABI that have a name go through libseccomp, and what
// that cannot do exactly is compiled in front of it: other ABIs, numbers without a
// name, and calls with several answers or two tests of one argument.
func CompileRules(r Rules) ([]unix.SockFilter, error) {
	if !r.speaks(Native()) {
		return nil, fmt.Errorf("compile rules: they are not for %s", Native())
	}
	for _, a := range r.abis {
		if !a.On(Native()) {
			return nil, fmt.Errorf("compile rules: %s calls cannot be made on %s", a, Native())
		}
	}
	named, err := r.compileNamed()
	if err != nil {
		return nil, fmt.Errorf("compile rules: %w", err)
	}
	insns := append(r.prologue(), named...)
	if len(insns) > maxInsns {
		return nil, fmt.Errorf("compile rules: %d instructions, the kernel takes %d", len(insns), maxInsns)
	}
	return insns, nil
}

// whatever returns the rules with conditions about a call, and the answer to it
// when none of them holds.
func (r Rules) whatever(c Call) (Action, []Rule) {
	list := r.rules[c]
	if len(list) == 1 && len(list[0].When) == 0 {
		return list[0].Action, nil
	}
	return r.Otherwise(c), list
}

// prologue decides what libseccomp is not asked. All else falls out at its end.
func (r Rules) prologue() []unix.SockFilter {
	var named assembler
	for nr := range uint32(len(Native().names())) {
		c := Call{Native(), nr}
		if answer, rules := r.whatever(c); !simple(rules, answer, r.outside.Default) {
			named.when(unix.BPF_JEQ, nr, byArguments(Native(), rules, answer))
		}
	}
	old := Native() == X86_64 // its kernel takes the calls of both
	return dispatch(r.whatever, old, old, named.insns)
}

// simple reports whether libseccomp does exactly what rules about one call ask
// for. It knows one answer for calls that no rule holds for, takes one test of an
// argument in a rule, and merges rules so that some that test several arguments
// answer arguments that none of them is about (seen with 2.5.4). Some values of one
// argument it gets right.
func simple(rules []Rule, answer, fallback Action) bool {
	if len(rules) == 0 {
		return true
	}
	if answer != fallback {
		return false
	}
	if len(rules) == 1 {
		args := map[uint8]bool{}
		for _, c := range rules[0].When {
			args[c.Arg] = true
		}
		return len(args) == len(rules[0].When)
	}
	for _, rule := range rules {
		first := rules[0]
		if rule.Action != first.Action || len(rule.When) != 1 || rule.When[0].Op != Equal || rule.When[0].Arg != first.When[0].Arg {
			return false
		}
	}
	return true
}

func (r Rules) compileNamed() ([]unix.SockFilter, error) {
	if err := setAPI(); err != nil {
		return nil, err
	}
	f, err := seccomp.NewFilter(ScmpAction(r.outside.Default))
	if err != nil {
		return nil, err
	}
	defer f.Release()
	if err := f.SetBadArchAction(ScmpAction(r.outside.Foreign)); err != nil {
		return nil, fmt.Errorf("set answer to other architectures: %w", err)
	}
	if err := f.SetOptimize(binaryTree); err != nil {
		return nil, fmt.Errorf("ask for a binary tree: %w", err)
	}
	for nr := range uint32(len(Native().names())) {
		answer, rules := r.whatever(Call{Native(), nr})
		if answer != r.outside.Default {
			err = f.AddRuleExact(seccomp.ScmpSyscall(nr), ScmpAction(answer))
		} else if simple(rules, answer, r.outside.Default) {
			err = addConditional(f, seccomp.ScmpSyscall(nr), rules)
		}
		if err != nil {
			return nil, fmt.Errorf("add %s: %w", Call{Native(), nr}, err)
		}
	}
	return export(f)
}

func addConditional(f *seccomp.ScmpFilter, nr seccomp.ScmpSyscall, rules []Rule) error {
	for _, rule := range rules {
		when, err := ScmpConditions(rule.When)
		if err != nil {
			return err
		}
		if err := f.AddRuleConditionalExact(nr, ScmpAction(rule.Action), when); err != nil {
			return err
		}
	}
	return nil
}

var scmpOps = [compares]seccomp.ScmpCompareOp{seccomp.CompareEqual, seccomp.CompareNotEqual, seccomp.CompareLess, seccomp.CompareLessOrEqual,
	seccomp.CompareGreater, seccomp.CompareGreaterEqual, seccomp.CompareMaskedEqual}

// ScmpConditions returns conditions as libseccomp takes them.
func ScmpConditions(when []Condition) ([]seccomp.ScmpCondition, error) {
	var out []seccomp.ScmpCondition
	for _, c := range when {
		if c.Op >= compares {
			return nil, errors.New("unknown comparison")
		}
		values := []uint64{c.Value}
		if c.Op == MaskedEqual {
			values = []uint64{c.Mask, c.Value}
		}
		made, err := seccomp.MakeCondition(uint(c.Arg), scmpOps[c.Op], values...)
		if err != nil {
			return nil, err
		}
		out = append(out, made)
	}
	return out, nil
}

// byArguments answers by the first rule whose conditions hold, and otherwise with
// fallback.
func byArguments(abi ABI, rules []Rule, fallback Action) []unix.SockFilter {
	var a assembler
	for _, rule := range rules {
		var body assembler
		var fails []int // where a condition that does not hold leaves the body
		for _, c := range rule.When {
			body.test(abi, c)
			fails = append(fails, len(body.insns)-1)
		}
		body.add(ret(rule.Action))
		for _, at := range fails {
			body.insns[at].K = uint32(len(body.insns) - at - 1)
		}
		a.add(body.insns...)
	}
	a.add(ret(fallback))
	return a.insns
}

// test goes on behind its last instruction when the condition holds. That is a
// jump for when it does not.
func (a *assembler) test(abi ABI, c Condition) {
	high, low := uint32(c.Value>>32), uint32(c.Value&math.MaxUint32)
	if c.Op == MaskedEqual {
		a.half(abi, c.Arg, true)
		a.and(uint32(c.Mask >> 32))
		a.add(jump(unix.BPF_JEQ, high, 0, 3))
		a.half(abi, c.Arg, false)
		a.and(uint32(c.Mask & math.MaxUint32))
		a.add(jump(unix.BPF_JEQ, low, 1, 0))
		a.fail()
		return
	}
	a.half(abi, c.Arg, true)
	switch c.Op { // each test jumps to fail, or behind it
	case Equal:
		a.add(jump(unix.BPF_JEQ, high, 0, 2))
	case NotEqual:
		a.add(jump(unix.BPF_JEQ, high, 0, 3))
	case Greater, GreaterOrEqual:
		a.add(jump(unix.BPF_JGT, high, 4, 0), jump(unix.BPF_JEQ, high, 0, 2))
	case Less, LessOrEqual:
		a.add(jump(unix.BPF_JGT, high, 3, 0), jump(unix.BPF_JEQ, high, 0, 3))
	}
	a.half(abi, c.Arg, false)
	switch c.Op {
	case Equal:
		a.add(jump(unix.BPF_JEQ, low, 1, 0))
	case NotEqual:
		a.add(jump(unix.BPF_JEQ, low, 0, 1))
	case Greater:
		a.add(jump(unix.BPF_JGT, low, 1, 0))
	case GreaterOrEqual:
		a.add(jump(unix.BPF_JGE, low, 1, 0))
	case Less:
		a.add(jump(unix.BPF_JGE, low, 0, 1))
	case LessOrEqual:
		a.add(jump(unix.BPF_JGT, low, 0, 1))
	}
	a.fail()
}

func (a *assembler) fail() { a.add(unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA}) }

func (a *assembler) and(mask uint32) {
	a.add(unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask})
}

// half loads a half of an argument; the upper ones of 32-bit ABIs count as 0.
func (a *assembler) half(abi ABI, arg uint8, upper bool) {
	if upper && abi.Seen(Args{1 << 32})[0] == 0 {
		a.add(unix.SockFilter{Code: unix.BPF_LD | unix.BPF_IMM})
		return
	}
	offset := offsetArgs + 8*uint32(arg)
	if upper {
		offset += 4
	}
	a.load(offset)
}
