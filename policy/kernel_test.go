package policy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests ask the real kernel, in a child of its own: a filter is for life.
// They need no privilege, for the child sets no_new_privs.

// askProgram builds testdata/ask.c once.
var askProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(askDir, "ask")
	out, err := exec.Command("gcc", "-O1", "-static", "-o", path, "testdata/ask.c").CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return path, nil
})

// ask loads a program in a child and returns what its calls came back with.
func ask(t *testing.T, insns []unix.SockFilter, calls []Call) []int32 {
	t.Helper()
	if Native() != X86_64 {
		t.Skip("testdata/ask.c is written for x86_64")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc to build testdata/ask.c with")
	}
	path, err := askProgram()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var in, out bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&in, binary.NativeEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	put(uint32(len(insns)))
	put(insns)
	put(uint32(len(calls)))
	for _, c := range calls {
		put([2]uint32{uint32(c.ABI), c.Register()})
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Stdin, cmd.Stdout = &in, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("ask the kernel: %v", err)
	}
	answers := make([]int32, len(calls))
	if _, err := binary.Decode(out.Bytes(), binary.NativeEndian, answers); err != nil {
		t.Fatalf("ask the kernel: %v", err)
	}
	return answers
}

// harmless calls can be made with any arguments, and succeed.
var harmless = []string{"getpid", "getppid", "gettid", "getuid", "getgid", "geteuid", "getegid", "sched_yield", "getpgrp"}

func TestKernelAgreesWithSpec(t *testing.T) {
	allow := set("write", "exit_group", "exit", "rt_sigreturn", "restart_syscall")
	notify := set("uname", "clone3")
	for i, name := range harmless {
		allow = allow.With(call(name))
		if i%2 == 0 { // the other half is denied there
			allow = allow.With(call("i386:" + name))
		}
	}
	allow = allow.With(call("#700"), call("i386:socketcall"), call("i386:#600"))
	for _, spec := range []Spec{
		{Allow: allow, Notify: notify},
		{Allow: allow, Notify: notify, Answers: Answers{Denied: RefuseWith(unix.EACCES), Newer: RefuseWith(unix.ENOENT), Single: []Answer{{call("mount"), RefuseWith(unix.EIO)}}}},
		{Allow: allow.Of(X86_64)},
		{Allow: allow.With(call("x32:getppid")), Notify: call386("uname")},
	} {
		f, err := Compile(spec)
		if err != nil {
			t.Fatal(err)
		}
		calls := questions(spec)
		for i, got := range ask(t, f.Insns, calls) {
			checkAnswer(t, calls[i], spec.Want(calls[i]), got)
		}
	}
}

func call386(name string) Set { return NewSet(call("i386:" + name)) }

// pastSeccomp are calls that the kernel itself puts into a program at a probe, and
// that it takes past every filter (uretprobe since Linux 6.14).
var pastSeccomp = NewSet(Call{X86_64, 335}, Call{X86_64, 336})

// questions are all calls that the spec does not let through, and of those it
// does the harmless ones.
func questions(spec Spec) []Call {
	var out []Call
	for _, abi := range []ABI{X86_64, I386, X32} {
		for nr := range uint32(1024) {
			if c := (Call{abi, nr}); !spec.Want(c).Allows() && !pastSeccomp.Has(c) {
				out = append(out, c)
			}
		}
		for _, name := range harmless {
			if c := (Call{abi, numbers()[abi][name]}); spec.Want(c).Allows() {
				out = append(out, c)
			}
		}
	}
	return append(out, Call{X86_64, 0x3fffffff}, Call{I386, 0x7fffffff}, Call{I386, 0xfffffffe})
}

func checkAnswer(t *testing.T, c Call, want Action, got int32) {
	t.Helper()
	switch {
	case want.Allows() && c.ABI == X32:
		// A kernel without x32 says ENOSYS here; one with it answers.
		if got < 0 && got != -int32(unix.ENOSYS) {
			t.Errorf("%s: the kernel says %d, want an answer", c, got)
		}
	case want.Allows():
		if got < 0 {
			t.Errorf("%s: the kernel says %d, want an answer", c, got)
		}
	case want == ActNotify:
		// There is no listener: the kernel says ENOSYS.
		if got != -int32(unix.ENOSYS) {
			t.Errorf("%s: the kernel says %d, want ENOSYS", c, got)
		}
	case got != -int32(want.Errno()):
		t.Errorf("%s: the kernel says %d, want %s", c, got, want)
	}
}

// The kernel and Eval compute the same. Each program computes something from a
// call's number and architecture, and answers with 12 bits of it as the error.
func TestKernelAgreesWithEval(t *testing.T) {
	c := call("getppid")
	for seed := range uint64(60) {
		insns := arithmetic(rand.New(rand.NewPCG(seed, 2)), c)
		want, err := Eval(insns, DataOf(c))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got := ask(t, insns, []Call{c}); got[0] != -int32(want.Errno()) {
			t.Errorf("seed %d: the kernel says %d, Eval %s", seed, got[0], want)
		}
	}
}

// arithmetic makes a random program without branches around a frame that lets
// every call but c through.
func arithmetic(r *rand.Rand, c Call) []unix.SockFilter {
	insn := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	body := []unix.SockFilter{
		insn(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offsetArch),
		insn(unix.BPF_ST, 3),
		insn(unix.BPF_LDX|unix.BPF_W|unix.BPF_LEN, 0),
		insn(unix.BPF_STX, 4),
	}
	ops := []uint16{
		unix.BPF_ADD, unix.BPF_SUB, unix.BPF_MUL, unix.BPF_AND, unix.BPF_OR, unix.BPF_XOR, unix.BPF_LSH, unix.BPF_RSH, unix.BPF_DIV,
	}
	for range 12 {
		op := ops[r.IntN(len(ops))]
		switch k := r.Uint32(); {
		case r.IntN(4) == 0:
			body = append(body, [...]unix.SockFilter{
				insn(unix.BPF_MISC|unix.BPF_TAX, 0), insn(unix.BPF_MISC|unix.BPF_TXA, 0),
				insn(unix.BPF_LDX|unix.BPF_MEM, 3+k%2), insn(unix.BPF_LD|unix.BPF_MEM, 3+k%2),
				insn(unix.BPF_ALU|unix.BPF_NEG, 0), insn(unix.BPF_LDX|unix.BPF_IMM, k),
			}[r.IntN(6)])
		case op == unix.BPF_DIV:
			body = append(body, insn(unix.BPF_ALU|op|unix.BPF_K, k%1000+1))
		case op == unix.BPF_LSH || op == unix.BPF_RSH:
			body = append(body, insn(unix.BPF_ALU|op|uint16(r.IntN(2))*unix.BPF_X, k%32))
		default:
			body = append(body, insn(unix.BPF_ALU|op|uint16(r.IntN(2))*unix.BPF_X, k))
		}
	}
	body = append(body,
		insn(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0xfff),
		insn(unix.BPF_ALU|unix.BPF_OR|unix.BPF_K, uint32(ActErrno)),
		insn(unix.BPF_RET|unix.BPF_A, 0),
	)
	var a assembler
	a.load(offsetNr)
	a.when(unix.BPF_JEQ, c.Register(), body)
	a.add(ret(ActAllow))
	return a.insns
}
