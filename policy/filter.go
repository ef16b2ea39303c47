package policy

import "golang.org/x/sys/unix"

// Filter is a compiled spec: what the kernel runs for every call.
type Filter struct {
	Spec  Spec
	Insns []unix.SockFilter // 1 to 4096 instructions
}

// maxInsns is the kernel's limit on one program (BPF_MAXINSNS).
const maxInsns = 4096

// Offsets in struct seccomp_data.
const (
	offsetNr   = 0
	offsetArch = 4
	offsetArgs = 16
	dataSize   = 64
)

// assembler puts together the few forms of instruction that a filter needs.
type assembler struct{ insns []unix.SockFilter }

func (a *assembler) add(insns ...unix.SockFilter) { a.insns = append(a.insns, insns...) }

// load puts a word of seccomp_data into the accumulator.
func (a *assembler) load(offset uint32) {
	a.add(unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

// when runs body if the accumulator passes the test (BPF_JEQ or BPF_JGE) against
// k, and goes on behind it otherwise. A body may be longer than the 255
// instructions that a conditional jump reaches.
func (a *assembler) when(test uint16, k uint32, body []unix.SockFilter) {
	a.add(
		jump(test, k, 1, 0),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(body))},
	)
	a.add(body...)
}

// jump skips yes or no instructions as the accumulator passes the test against k.
func jump(test uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: yes, Jf: no}
}

// ret ends the program with an answer.
func ret(x Action) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(x)}
}
