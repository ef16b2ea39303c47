package policy

import "golang.org/x/sys/unix"

// LongestWay returns how many instructions of a program the kernel runs at most for one
// call: 0 for none. Ways that no call takes count, too, so that it may be fewer. A kernel
// from 5.11 on runs none at all for calls that are allowed whatever their arguments.
func LongestWay(insns []unix.SockFilter) int {
	longest := make([]int, len(insns)+1)
	from := func(i int) int {
		if i < 0 || i > len(insns) { // no kernel takes such a jump
			return 0
		}
		return longest[i]
	}
	for i := len(insns) - 1; i >= 0; i-- { // jumps lead ahead alone
		in := insns[i]
		switch {
		case in.Code&7 == unix.BPF_RET:
			longest[i] = 1
		case in.Code == unix.BPF_JMP|unix.BPF_JA:
			longest[i] = 1 + from(i+1+int(in.K))
		case in.Code&7 == unix.BPF_JMP:
			longest[i] = 1 + max(from(i+1+int(in.Jt)), from(i+1+int(in.Jf)))
		default:
			longest[i] = 1 + from(i+1)
		}
	}
	return longest[0]
}
