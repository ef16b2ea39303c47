package policy

import (
	"math"
	"runtime"
	"slices"
)

// ABI is the calling convention of a system call. The values are part of the
// session file's format.
type ABI uint8

// The ABIs. Linux on amd64 has the first three at once.
const (
	X86_64 ABI = iota
	I386       // 32-bit programs, and int 0x80 from any program
	X32        // 64-bit registers, 32-bit pointers; numbers carry bit 30
	ARM64
	abis
)

// x32Bit marks the number of an x32 call in a register and in seccomp_data.
const x32Bit = 1 << 30

// The AUDIT_ARCH_* values of linux/audit.h.
const (
	auditX86_64 = 0xc000003e
	auditI386   = 0x40000003
	auditARM64  = 0xc00000b7
)

var abiNames = [abis]string{"x86_64", "i386", "x32", "arm64"}

// String returns the name that prefixes calls of a foreign ABI ("i386").
func (a ABI) String() string {
	if a < abis {
		return abiNames[a]
	}
	return "?"
}

// AuditArch returns the AUDIT_ARCH_* value that seccomp_data carries for the
// ABI, 0 for an unknown one. x32 shares x86_64's.
func (a ABI) AuditArch() uint32 {
	switch a {
	case X86_64, X32:
		return auditX86_64
	case I386:
		return auditI386
	case ARM64:
		return auditARM64
	}
	return 0
}

// Native returns the ABI of 64-bit programs on this machine.
func Native() ABI {
	if runtime.GOARCH == "arm64" {
		return ARM64
	}
	return X86_64
}

// possible returns the ABIs whose calls a kernel of the given native ABI takes.
func possible(native ABI) []ABI {
	if native == X86_64 {
		return []ABI{X86_64, I386, X32}
	}
	return []ABI{native}
}

// parseABI is the inverse of String.
func parseABI(s string) (ABI, bool) {
	for a := range abis {
		if abiNames[a] == s {
			return a, true
		}
	}
	return 0, false
}

// On reports whether programs of the ABI run on machines of the given native one.
func (a ABI) On(native ABI) bool { return slices.Contains(possible(native), a) }

// Seen returns what conditions see of arguments: of those of 32-bit ABIs the lower
// halves. An i386 program cannot pass more, and what an x32 program passes more
// the kernel leaves out where it takes an int.
func (a ABI) Seen(args Args) Args {
	if a == I386 || a == X32 {
		for i := range args {
			args[i] &= math.MaxUint32
		}
	}
	return args
}
