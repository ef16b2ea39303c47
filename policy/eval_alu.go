package policy

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errDivide is a division by an X of 0: the kernel ends the program with answer
// 0, which is to kill the thread.
var errDivide = errors.New("divides by zero")

// compute runs an ALU instruction.
func (m *machine) compute(in unix.SockFilter) error {
	if in.Code == unix.BPF_ALU|unix.BPF_NEG {
		m.a = -m.a
		return nil
	}
	v, constant := m.operand(in), in.Code&unix.BPF_X == 0
	switch in.Code &^ unix.BPF_X {
	case unix.BPF_ALU | unix.BPF_ADD:
		m.a += v
	case unix.BPF_ALU | unix.BPF_SUB:
		m.a -= v
	case unix.BPF_ALU | unix.BPF_MUL:
		m.a *= v
	case unix.BPF_ALU | unix.BPF_DIV:
		if v == 0 && constant {
			return errInsn
		}
		if v == 0 {
			return errDivide
		}
		m.a /= v
	case unix.BPF_ALU | unix.BPF_AND:
		m.a &= v
	case unix.BPF_ALU | unix.BPF_OR:
		m.a |= v
	case unix.BPF_ALU | unix.BPF_XOR:
		m.a ^= v
	case unix.BPF_ALU | unix.BPF_LSH, unix.BPF_ALU | unix.BPF_RSH:
		if constant && v > 31 {
			return fmt.Errorf("shifts by %d bits", v)
		}
		if in.Code&0xf0 == unix.BPF_LSH {
			m.a <<= v & 31
		} else {
			m.a >>= v & 31
		}
	default:
		return errInsn
	}
	return nil
}
