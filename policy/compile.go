package policy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	seccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// Compile makes the filter of s for this machine's kernel. It loads nothing, and
// needs neither a privilege nor a kernel that could load it.
//
// It refuses a spec that allows nothing, answers that CheckAnswer does not take, and calls that
// this machine's kernel has no way to make. Calls of the filter's native ABI
// that have a name go through libseccomp. All others are compiled by number in
// front of that: libseccomp thinks in names, so it cannot take numbers it has no
// name for, and it rewrites i386 socket and IPC calls into more than was asked.
//
// Results depend on the architecture and the number alone, and on arguments only
// of calls with conditions, so that a kernel from 5.11 on answers allowed calls
// from a bitmap.
func Compile(s Spec) (Filter, error) {
	if err := s.check(); err != nil {
		return Filter{}, fmt.Errorf("compile filter: %w", err)
	}
	if len(s.When) > 0 {
		r, err := s.Rules()
		if err != nil {
			return Filter{}, fmt.Errorf("compile filter: %w", err)
		}
		insns, err := CompileRules(r)
		return Filter{Spec: s, Insns: insns}, err
	}
	named, err := compileNamed(s)
	if err != nil {
		return Filter{}, fmt.Errorf("compile filter: %w", err)
	}
	insns := append(prologue(s), named...)
	if len(insns) > maxInsns {
		return Filter{}, fmt.Errorf("compile filter: %d instructions, the kernel takes %d", len(insns), maxInsns)
	}
	return Filter{Spec: s, Insns: insns}, nil
}

func (s Spec) check() error {
	if s.Allow.Len() == 0 {
		return errors.New("no call is allowed")
	}
	if err := s.Answers.check(); err != nil {
		return err
	}
	here := possible(Native())
	var single []Call
	for _, x := range s.Single {
		single = append(single, x.Call)
	}
	for _, set := range []Set{s.Allow, s.Notify, s.Conditional(), NewSet(single...)} {
		for c := range set.All() {
			if !slices.Contains(here, c.ABI) {
				return fmt.Errorf("%s cannot be called on %s", c, Native())
			}
			if c.Nr > maxNr {
				return fmt.Errorf("%s: no kernel has that number", c)
			}
		}
	}
	return nil
}

// prologue decides what libseccomp is not asked: other ABIs, and native calls
// too new to have a name. All else falls out at its end.
func prologue(s Spec) []unix.SockFilter {
	return dispatch(s.whatever, s.speaks(X32), s.speaks(I386), nil)
}

// decider says what byNumber is to answer to a call: by the first rule whose
// conditions hold, and otherwise with the action.
type decider func(Call) (Action, []Rule)

// dispatch parts the calls by ABI. What falls out at its end are the native calls
// that have a name, less those that named decides.
func dispatch(want decider, x32, i386 bool, named []unix.SockFilter) []unix.SockFilter {
	var native assembler
	native.load(offsetNr)
	if x32 {
		native.when(unix.BPF_JGE, x32Bit, byNumber(want, X32, 0))
	}
	unnamed := uint32(len(Native().names()))
	native.when(unix.BPF_JGE, unnamed, byNumber(want, Native(), unnamed))
	native.add(named...)

	var a assembler
	a.load(offsetArch)
	if i386 {
		var old assembler
		old.load(offsetNr)
		old.add(byNumber(want, I386, 0)...)
		a.when(unix.BPF_JEQ, I386.AuditArch(), old.insns)
	}
	a.when(unix.BPF_JEQ, Native().AuditArch(), native.insns)
	return a.insns
}

// whatever is Want as byNumber asks for it: no answer of a Spec looks at arguments.
func (s Spec) whatever(c Call) (Action, []Rule) { return s.Want(c), nil }

// byNumber decides every number of an ABI from first on. It goes up the numbers
// in runs of one answer, each run a comparison and an answer. Calls with
// conditions come before that.
func byNumber(want decider, abi ABI, first uint32) []unix.SockFilter {
	var a, runs assembler
	answer, _ := want(Call{abi, first})
	for nr := first; nr <= maxNr+1; nr++ {
		c := Call{abi, nr}
		next, rules := want(c)
		if len(rules) > 0 {
			a.when(unix.BPF_JEQ, c.Register(), byArguments(abi, rules, next))
			continue // may answer as its neighbours do, for runs
		}
		if next != answer {
			runs.add(jump(unix.BPF_JGE, c.Register(), 1, 0), ret(answer))
			answer = next
		}
	}
	a.add(runs.insns...)
	a.add(ret(answer))
	return a.insns
}

// compileNamed has libseccomp compile the native calls that have a name.
func compileNamed(s Spec) ([]unix.SockFilter, error) {
	if err := setAPI(); err != nil {
		return nil, err
	}
	f, err := seccomp.NewFilter(ScmpAction(s.denied()))
	if err != nil {
		return nil, err
	}
	defer f.Release()
	if err := f.SetBadArchAction(ScmpAction(s.newer())); err != nil {
		return nil, fmt.Errorf("set answer to other architectures: %w", err)
	}
	if err := f.SetOptimize(binaryTree); err != nil {
		return nil, fmt.Errorf("ask for a binary tree: %w", err)
	}
	for nr := range uint32(len(Native().names())) {
		want := s.Want(Call{Native(), nr})
		if want == s.denied() {
			continue // the default; libseccomp refuses a rule that repeats it
		}
		if err := f.AddRuleExact(seccomp.ScmpSyscall(nr), ScmpAction(want)); err != nil {
			return nil, fmt.Errorf("add %s: %w", Call{Native(), nr}, err)
		}
	}
	return export(f)
}

// binaryTree is the level of SetOptimize that sorts calls into a tree.
const binaryTree = 2

// setAPI tells libseccomp what to take, which it would otherwise find out by
// asking the running kernel. Level 6 has NOTIFY in filters that sync threads, as
// NewFilter marks them all.
var setAPI = sync.OnceValue(func() error {
	if err := seccomp.SetAPI(6); err != nil {
		return fmt.Errorf("set libseccomp's api level (needs libseccomp >= 2.5): %w", err)
	}
	return nil
})

// ScmpAction returns libseccomp's name for an action.
func ScmpAction(a Action) seccomp.ScmpAction {
	switch a.Kind() {
	case ActAllow:
		return seccomp.ActAllow
	case ActNotify:
		return seccomp.ActNotify
	case ActLog:
		return seccomp.ActLog
	case ActTrace:
		return seccomp.ActTrace.SetReturnCode(int16(a.Data()))
	case ActTrap:
		return seccomp.ActTrap
	case ActKillThread:
		return seccomp.ActKillThread
	case ActKillProcess:
		return seccomp.ActKillProcess
	}
	return seccomp.ActErrno.SetReturnCode(int16(a.Data()))
}

// export reads the program out of libseccomp, by way of a file in memory:
// ExportBPFMem needs libseccomp 2.6.
func export(f *seccomp.ScmpFilter) ([]unix.SockFilter, error) {
	fd, err := unix.MemfdCreate("filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make memory file: %w", err)
	}
	file := os.NewFile(uintptr(fd), "filter")
	defer file.Close()
	if err := f.ExportBPF(file); err != nil {
		return nil, fmt.Errorf("export bpf: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read bpf: %w", err)
	}
	raw, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read bpf: %w", err)
	}
	return Decode(raw)
}

// Encode returns a program as seccomp(2) takes it: 8 bytes an instruction, in the
// byte order of the machine.
func Encode(insns []unix.SockFilter) []byte {
	var raw []byte
	for _, in := range insns {
		raw = binary.NativeEndian.AppendUint16(raw, in.Code)
		raw = append(raw, in.Jt, in.Jf)
		raw = binary.NativeEndian.AppendUint32(raw, in.K)
	}
	return raw
}

// Decode reads what Encode writes. It is an error when no kernel would take so
// long a program; whether this is one shows when it runs.
func Decode(raw []byte) ([]unix.SockFilter, error) {
	const size = 8
	if len(raw) == 0 || len(raw)%size != 0 || len(raw)/size > maxInsns {
		return nil, fmt.Errorf("read bpf: %d bytes, want 1 to %d instructions of %d", len(raw), maxInsns, size)
	}
	insns := make([]unix.SockFilter, len(raw)/size)
	if _, err := binary.Decode(raw, binary.NativeEndian, insns); err != nil {
		return nil, fmt.Errorf("read bpf: %w", err)
	}
	return insns, nil
}
