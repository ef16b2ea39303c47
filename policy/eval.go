package policy

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Data is what a filter sees of a call: struct seccomp_data.
type Data struct {
	Nr   uint32 // with bit 30 for x32: see Call.Register
	Arch uint32 // AUDIT_ARCH_*: see ABI.AuditArch
	IP   uint64
	Args [6]uint64
}

// DataOf returns what a filter sees of c, with all arguments 0.
func DataOf(c Call) Data { return Data{Nr: c.Register(), Arch: c.ABI.AuditArch()} }

// word returns the 32-bit word at an offset that is in range and aligned. The
// kernel hands words over in the byte order of the machine, and every machine
// that speaker runs on is little-endian.
func (d Data) word(offset uint32) uint32 {
	switch {
	case offset == offsetNr:
		return d.Nr
	case offset == offsetArch:
		return d.Arch
	}
	wide := d.IP
	if offset >= 16 {
		wide = d.Args[(offset-16)/8]
	}
	if offset%8 == 4 {
		return uint32(wide >> 32)
	}
	return uint32(wide)
}

// Eval runs a seccomp program on d and returns its answer, as the kernel would.
// It knows the instructions that seccomp takes and no more. A program that the
// kernel would not have loaded gives an error; none makes Eval panic or loop.
func Eval(insns []unix.SockFilter, d Data) (Action, error) {
	if len(insns) == 0 || len(insns) > maxInsns {
		return 0, fmt.Errorf("run filter: %d instructions, want 1 to %d", len(insns), maxInsns)
	}
	m := machine{data: d}
	for pc := 0; ; {
		in := insns[pc]
		if in.Code&7 == unix.BPF_RET {
			answer, err := m.answer(in)
			if err != nil {
				return 0, fmt.Errorf("run filter: instruction %d: %w", pc, err)
			}
			return answer, nil
		}
		skip, err := m.step(in)
		if err != nil {
			if errors.Is(err, errDivide) {
				return ActKillThread, nil
			}
			return 0, fmt.Errorf("run filter: instruction %d: %w", pc, err)
		}
		// Jumps only go forward, so that the program ends.
		if skip >= uint64(len(insns)-pc-1) {
			return 0, fmt.Errorf("run filter: instruction %d leads out of the program", pc)
		}
		pc += 1 + int(skip)
	}
}

// EvalAll runs a stack of programs on d, oldest first (the order in which
// PTRACE_SECCOMP_GET_FILTER numbers them), and returns what the kernel does: the
// strictest answer, of equally strict ones the newest. No program allows all.
func EvalAll(chain [][]unix.SockFilter, d Data) (Action, error) {
	result := ActAllow
	for i, f := range chain {
		answer, err := Eval(f, d)
		if err != nil {
			return 0, fmt.Errorf("filter %d of %d: %w", i, len(chain), err)
		}
		result = answer.Over(result)
	}
	return result, nil
}

var errInsn = errors.New("not an instruction that seccomp takes")

// machine is the state of a running program.
type machine struct {
	data   Data
	a, x   uint32
	mem    [16]uint32
	stored uint16 // which words of mem were written to
}

// answer runs a RET instruction.
func (m *machine) answer(in unix.SockFilter) (Action, error) {
	switch in.Code {
	case unix.BPF_RET | unix.BPF_K:
		return Action(in.K), nil
	case unix.BPF_RET | unix.BPF_A:
		return Action(m.a), nil
	}
	return 0, errInsn
}

// step runs any other instruction and says how many to skip after it.
func (m *machine) step(in unix.SockFilter) (skip uint64, err error) {
	switch in.Code & 7 {
	case unix.BPF_LD:
		return 0, m.load(in, unix.BPF_LD, &m.a)
	case unix.BPF_LDX:
		return 0, m.load(in, unix.BPF_LDX, &m.x)
	case unix.BPF_ST:
		return 0, m.store(in, unix.BPF_ST, m.a)
	case unix.BPF_STX:
		return 0, m.store(in, unix.BPF_STX, m.x)
	case unix.BPF_ALU:
		return 0, m.compute(in)
	case unix.BPF_JMP:
		return m.jump(in)
	case unix.BPF_MISC:
		return 0, m.move(in)
	}
	return 0, errInsn
}

func (m *machine) load(in unix.SockFilter, class uint16, to *uint32) error {
	switch in.Code {
	case class | unix.BPF_IMM:
		*to = in.K
	case class | unix.BPF_W | unix.BPF_LEN:
		*to = dataSize
	case class | unix.BPF_MEM:
		if in.K >= uint32(len(m.mem)) || m.stored&(1<<in.K) == 0 {
			return fmt.Errorf("reads memory word %d that nothing was stored in", in.K)
		}
		*to = m.mem[in.K]
	case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
		if in.K >= dataSize || in.K%4 != 0 {
			return fmt.Errorf("reads at offset %d of the call's data", in.K)
		}
		*to = m.data.word(in.K)
	default:
		return errInsn
	}
	return nil
}

func (m *machine) store(in unix.SockFilter, class uint16, value uint32) error {
	if in.Code != class {
		return errInsn
	}
	if in.K >= uint32(len(m.mem)) {
		return fmt.Errorf("stores to memory word %d", in.K)
	}
	m.mem[in.K] = value
	m.stored |= 1 << in.K
	return nil
}

// operand returns what an ALU or JMP instruction works with beside A.
func (m *machine) operand(in unix.SockFilter) uint32 {
	if in.Code&unix.BPF_X != 0 {
		return m.x
	}
	return in.K
}

func (m *machine) jump(in unix.SockFilter) (skip uint64, err error) {
	if in.Code == unix.BPF_JMP|unix.BPF_JA {
		return uint64(in.K), nil
	}
	v, yes := m.operand(in), false
	switch in.Code &^ unix.BPF_X {
	case unix.BPF_JMP | unix.BPF_JEQ:
		yes = m.a == v
	case unix.BPF_JMP | unix.BPF_JGT:
		yes = m.a > v
	case unix.BPF_JMP | unix.BPF_JGE:
		yes = m.a >= v
	case unix.BPF_JMP | unix.BPF_JSET:
		yes = m.a&v != 0
	default:
		return 0, errInsn
	}
	if yes {
		return uint64(in.Jt), nil
	}
	return uint64(in.Jf), nil
}

func (m *machine) move(in unix.SockFilter) error {
	switch in.Code {
	case unix.BPF_MISC | unix.BPF_TAX:
		m.x = m.a
	case unix.BPF_MISC | unix.BPF_TXA:
		m.a = m.x
	default:
		return errInsn
	}
	return nil
}
