package policy

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// packet lays d out as struct seccomp_data, each word big-endian.
func packet(d Data) []byte {
	var out []byte
	for offset := uint32(0); offset < dataSize; offset += 4 {
		out = binary.BigEndian.AppendUint32(out, d.word(offset))
	}
	return out
}

// in makes an instruction.
func in(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

// Short names for the instructions that the tables below are made of.
var (
	retA = in(unix.BPF_RET|unix.BPF_A, 0)
	tax  = in(unix.BPF_MISC|unix.BPF_TAX, 0)
	txa  = in(unix.BPF_MISC|unix.BPF_TXA, 0)
)

func ld(offset uint32) unix.SockFilter { return in(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset) }
func imm(k uint32) unix.SockFilter     { return in(unix.BPF_LD|unix.BPF_IMM, k) }
func immX(k uint32) unix.SockFilter    { return in(unix.BPF_LDX|unix.BPF_IMM, k) }
func aluK(op uint16, k uint32) unix.SockFilter {
	return in(unix.BPF_ALU|op|unix.BPF_K, k)
}
func aluX(op uint16) unix.SockFilter { return in(unix.BPF_ALU|op|unix.BPF_X, 0) }

func TestEvalLoads(t *testing.T) {
	d := Data{Nr: 0x11, Arch: 0x22, IP: 0x4444444433333333}
	for i := range d.Args {
		d.Args[i] = uint64(i)<<40 | uint64(i) + 0x100
	}
	want := []uint32{0x11, 0x22, 0x33333333, 0x44444444}
	for i := range uint32(6) {
		want = append(want, i+0x100, i<<8)
	}
	for i, w := range want {
		got, err := Eval([]unix.SockFilter{ld(uint32(i) * 4), retA}, d)
		if err != nil || got != Action(w) {
			t.Errorf("offset %d: got %#x, %v, want %#x", i*4, uint32(got), err, w)
		}
	}
}

func TestEval(t *testing.T) {
	for _, tt := range []struct {
		name string
		prog []unix.SockFilter
		want uint32
	}{
		{"constant", []unix.SockFilter{ret(ActAllow)}, uint32(ActAllow)},
		{"a begins as 0", []unix.SockFilter{retA}, 0},
		{"length", []unix.SockFilter{in(unix.BPF_LD|unix.BPF_W|unix.BPF_LEN, 0), retA}, 64},
		{"length to x", []unix.SockFilter{in(unix.BPF_LDX|unix.BPF_W|unix.BPF_LEN, 0), txa, retA}, 64},
		{"tax, txa", []unix.SockFilter{imm(7), tax, imm(1), txa, retA}, 7},
		{"memory", []unix.SockFilter{imm(7), in(unix.BPF_ST, 15), imm(1), in(unix.BPF_LD|unix.BPF_MEM, 15), retA}, 7},
		{"memory by x", []unix.SockFilter{immX(7), in(unix.BPF_STX, 0), immX(1), in(unix.BPF_LDX|unix.BPF_MEM, 0), txa, retA}, 7},
		{"add", []unix.SockFilter{imm(0xffffffff), aluK(unix.BPF_ADD, 2), retA}, 1},
		{"sub", []unix.SockFilter{imm(1), aluK(unix.BPF_SUB, 2), retA}, 0xffffffff},
		{"mul", []unix.SockFilter{imm(0x10001), aluK(unix.BPF_MUL, 0x10000), retA}, 0x10000},
		{"div", []unix.SockFilter{imm(0xfffffffe), aluK(unix.BPF_DIV, 2), retA}, 0x7fffffff},
		{"div x", []unix.SockFilter{imm(9), immX(2), aluX(unix.BPF_DIV), retA}, 4},
		{"div by x of 0 kills", []unix.SockFilter{imm(9), immX(0), aluX(unix.BPF_DIV), ret(ActAllow)}, uint32(ActKillThread)},
		{"and, or, xor", []unix.SockFilter{imm(0xff), aluK(unix.BPF_AND, 0x0f), aluK(unix.BPF_OR, 0x30), aluK(unix.BPF_XOR, 0x31), retA}, 0x0e},
		{"shifts", []unix.SockFilter{imm(1), aluK(unix.BPF_LSH, 31), aluK(unix.BPF_RSH, 30), retA}, 2},
		{"shift x counts modulo 32", []unix.SockFilter{imm(1), immX(33), aluX(unix.BPF_LSH), retA}, 2},
		{"neg", []unix.SockFilter{imm(1), in(unix.BPF_ALU|unix.BPF_NEG, 0), retA}, 0xffffffff},
		{"jump", []unix.SockFilter{in(unix.BPF_JMP|unix.BPF_JA, 1), ret(ActTrap), ret(ActAllow)}, uint32(ActAllow)},
		{"jeq", branch(unix.BPF_JEQ, 5, 5), 1},
		{"jeq not", branch(unix.BPF_JEQ, 5, 6), 2},
		{"jgt", branch(unix.BPF_JGT, 0x80000000, 1), 1},
		{"jgt not", branch(unix.BPF_JGT, 5, 5), 2},
		{"jge", branch(unix.BPF_JGE, 5, 5), 1},
		{"jge not", branch(unix.BPF_JGE, 4, 5), 2},
		{"jset", branch(unix.BPF_JSET, 6, 2), 1},
		{"jset not", branch(unix.BPF_JSET, 6, 8|1), 2},
		{"jump by x", []unix.SockFilter{imm(5), immX(5), {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_X, Jt: 1}, ret(2), ret(1)}, 1},
	} {
		got, err := Eval(tt.prog, Data{})
		if err != nil || uint32(got) != tt.want {
			t.Errorf("%s: got %#x, %v, want %#x", tt.name, uint32(got), err, tt.want)
		}
	}
}

// branch answers 1 if a passes the test against k, 2 otherwise.
func branch(test uint16, a, k uint32) []unix.SockFilter {
	return []unix.SockFilter{imm(a), jump(test, k, 1, 0), ret(2), ret(1)}
}

func TestEvalRefuses(t *testing.T) {
	long := slices.Repeat([]unix.SockFilter{ret(ActAllow)}, maxInsns+1)
	for _, tt := range []struct {
		name string
		prog []unix.SockFilter
		want string
	}{
		{"nothing", nil, "0 instructions"},
		{"too long", long, "4097 instructions"},
		{"no end", []unix.SockFilter{imm(1)}, "leads out"},
		{"jump to the end", []unix.SockFilter{in(unix.BPF_JMP|unix.BPF_JA, 0)}, "leads out"},
		{"jump beyond the end", []unix.SockFilter{in(unix.BPF_JMP|unix.BPF_JA, 1), ret(ActAllow)}, "leads out"},
		{"long jump", []unix.SockFilter{in(unix.BPF_JMP|unix.BPF_JA, 0xffffffff), ret(ActAllow)}, "leads out"},
		{"conditional jump", []unix.SockFilter{jump(unix.BPF_JEQ, 0, 255, 0), ret(ActAllow)}, "leads out"},
		{"offset beyond the data", []unix.SockFilter{ld(64), retA}, "offset 64"},
		{"offset between words", []unix.SockFilter{ld(2), retA}, "offset 2"},
		{"negative offset", []unix.SockFilter{ld(0xfffffffc), retA}, "offset 4294967292"},
		{"byte load", []unix.SockFilter{in(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, 0), retA}, "not an instruction"},
		{"indirect load", []unix.SockFilter{in(unix.BPF_LD|unix.BPF_W|unix.BPF_IND, 0), retA}, "not an instruction"},
		{"data to x", []unix.SockFilter{in(unix.BPF_LDX|unix.BPF_W|unix.BPF_ABS, 0), retA}, "not an instruction"},
		{"memory never stored", []unix.SockFilter{in(unix.BPF_LD|unix.BPF_MEM, 3), retA}, "memory word 3"},
		{"memory out of range", []unix.SockFilter{in(unix.BPF_ST, 16), retA}, "memory word 16"},
		{"mod", []unix.SockFilter{aluK(unix.BPF_MOD, 3), retA}, "not an instruction"},
		{"div by constant 0", []unix.SockFilter{aluK(unix.BPF_DIV, 0), retA}, "not an instruction"},
		{"shift by 32", []unix.SockFilter{aluK(unix.BPF_LSH, 32), retA}, "shifts by 32"},
		{"ret x", []unix.SockFilter{in(unix.BPF_RET|unix.BPF_X, 0)}, "not an instruction"},
		{"store with bits", []unix.SockFilter{in(unix.BPF_ST|unix.BPF_X, 0), retA}, "not an instruction"},
		{"unknown move", []unix.SockFilter{in(unix.BPF_MISC|0x40, 0), retA}, "not an instruction"},
		{"unknown jump", []unix.SockFilter{in(unix.BPF_JMP|0x50, 0), retA}, "not an instruction"},
	} {
		if got, err := Eval(tt.prog, Data{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %s, %v, want error %q", tt.name, got, err, tt.want)
		}
	}
}

func TestEvalAll(t *testing.T) {
	stack := func(actions ...Action) (chain [][]unix.SockFilter) {
		for _, a := range actions {
			chain = append(chain, []unix.SockFilter{ret(a)})
		}
		return chain
	}
	for _, tt := range []struct {
		name  string
		chain [][]unix.SockFilter // oldest first
		want  Action
	}{
		{"no filter", nil, ActAllow},
		{"one", stack(ActTrap), ActTrap},
		{"deny over allow", stack(RefuseWith(unix.EPERM), ActAllow), RefuseWith(unix.EPERM)},
		{"allow cannot widen", stack(ActAllow, RefuseWith(unix.EPERM), ActAllow), RefuseWith(unix.EPERM)},
		{"newest of equals", stack(RefuseWith(unix.EPERM), RefuseWith(unix.ENOSYS)), RefuseWith(unix.ENOSYS)},
		{"errno before notify", stack(ActNotify, RefuseWith(unix.EPERM)), RefuseWith(unix.EPERM)},
		{"notify before allow", stack(ActNotify, ActAllow), ActNotify},
		{"notify before trace", stack(ActTrace, ActNotify), ActNotify},
		{"trace before log", stack(ActLog, ActTrace), ActTrace},
		{"trap before errno", stack(ActTrap, RefuseWith(unix.EPERM)), ActTrap},
		{"kill before trap", stack(ActKillThread, ActTrap), ActKillThread},
		{"killing the process is strictest", stack(ActKillProcess, ActKillThread, ActTrap), ActKillProcess},
	} {
		if got, err := EvalAll(tt.chain, Data{}); err != nil || got != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
	if _, err := EvalAll([][]unix.SockFilter{{ret(ActAllow)}, {}}, Data{}); err == nil {
		t.Error("an empty program was run")
	}
}

func TestAction(t *testing.T) {
	for _, tt := range []struct {
		action         Action
		text           string
		allows, denies bool
		errno          unix.Errno
	}{
		{ActAllow, "allow", true, false, 0},
		{ActLog, "log", true, false, 0},
		{ActNotify, "notify", false, false, 0},
		{ActTrace | 7, "trace", false, false, 0},
		{RefuseWith(unix.EPERM), "EPERM", false, true, unix.EPERM},
		{RefuseWith(9999), "errno 4095", false, true, 4095},
		{ActErrno | 0xffff, "errno 65535", false, true, 4095},
		{ActErrno, "errno 0", false, true, 0}, // pretends success, yet nothing happens
		{ActTrap, "trap", false, true, 0},
		{ActKillThread, "kill thread", false, true, 0},
		{ActKillProcess, "kill process", false, true, 0},
		{0x12340000, "unknown action 0x12340000", false, true, 0}, // the kernel kills
	} {
		if tt.action.String() != tt.text || tt.action.Allows() != tt.allows || tt.action.Denies() != tt.denies || tt.action.Errno() != tt.errno {
			t.Errorf("%#x: got %q, allows %t, denies %t, errno %d", uint32(tt.action),
				tt.action, tt.action.Allows(), tt.action.Denies(), tt.action.Errno())
		}
	}
}
