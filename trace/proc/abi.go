package proc

import (
	"encoding/binary"
	"fmt"
	"runtime"

	"speaker/trace"
)

// native is the ABI of this machine's 64-bit programs.
func native() trace.ABI {
	if runtime.GOARCH == "arm64" {
		return trace.ARM64
	}
	return trace.X86_64
}

// abiOf tells a 32-bit program by the class of its ELF file, as the kernel noted
// it at the exec. (The file itself is not opened: it may lie on a file system
// that the target serves, and never answer.) A kernel thread, or a process that
// may not be asked, counts as 64-bit.
func abiOf(pid int) trace.ABI {
	b, err := readSome(fmt.Sprintf("/proc/%d/auxv", pid), smallFile)
	if err == nil && native() == trace.X86_64 && isClass32(b) {
		return trace.I386
	}
	return native()
}

// isClass32 looks in an auxiliary vector, whose width is the program's, for the
// size of a program header: 32 bytes in ELF class 32, 56 in class 64.
func isClass32(auxv []byte) bool {
	const phent, headerSize = 4, 32
	for ; len(auxv) >= 8; auxv = auxv[8:] {
		// In a 64-bit vector this word is a key, whose upper half is 0, or a value.
		if binary.NativeEndian.Uint32(auxv) == phent {
			if v := binary.NativeEndian.Uint32(auxv[4:]); v != 0 {
				return v == headerSize
			}
		}
	}
	return false
}
