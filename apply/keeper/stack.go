package keeper

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"speaker/policy"
)

// Bounds of what is looked at for the modules of a caller.
const (
	maxModules = 6
	maxStack   = 16 << 10
	maxMaps    = 1 << 20
)

// mapped is a stretch of a file that a process may execute.
type mapped struct {
	from, to uint64
	file     string // its name without folders, hostile bytes
}

// modulesOf guesses through which files a thread that waits in a call came there: the
// one with the instruction itself, and then those that return addresses on its stack
// point into, the innermost first, each once. A value counts as a return address when
// a call instruction stands before it; an old one that was left on the stack does so,
// too, and what is inlined or jitted is not seen.
func modulesOf(tid int, abi policy.ABI, ip uint64, mem io.ReaderAt) (names []string) {
	maps := executable(tid)
	add := func(at uint64) bool {
		i := slices.IndexFunc(maps, func(m mapped) bool { return m.from <= at && at < m.to })
		if i >= 0 && !slices.Contains(names, maps[i].file) {
			names = append(names, maps[i].file)
		}
		return len(names) < maxModules
	}
	add(ip)
	sp := stackPointer(tid)
	if sp == 0 || abi == policy.I386 {
		return names
	}
	stack := make([]byte, maxStack)
	n, _ := mem.ReadAt(stack, int64(sp)) // less, where it ends before
	for ; n >= 8; n -= 8 {
		at := binary.LittleEndian.Uint64(stack)
		stack = stack[8:]
		if inside(maps, at) && called(mem, at) && !add(at) {
			break
		}
	}
	return names
}

func inside(maps []mapped, at uint64) bool {
	return slices.ContainsFunc(maps, func(m mapped) bool { return m.from < at && at < m.to })
}

// called reports whether a call instruction of x86-64 ends at an address: a near one
// (E8 with four bytes), or one through a register or memory (FF /2).
func called(mem io.ReaderAt, at uint64) bool {
	var b [7]byte
	if n, _ := mem.ReadAt(b[:], int64(at)-7); n < len(b) {
		return false
	}
	if b[2] == 0xe8 {
		return true
	}
	for _, size := range []int{2, 3, 4, 6, 7} {
		if x := b[len(b)-size:]; x[0] == 0xff && x[1]>>3&7 == 2 {
			return true
		}
	}
	return false
}

// executable lists the files that a process may execute.
func executable(pid int) (out []mapped) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxMaps))
	for lines.Scan() {
		// 7f01-7f02 r-xp 00000000 08:01 1234   /lib/libc.so.6
		part := strings.SplitN(lines.Text(), " ", 6)
		if len(part) < 6 || len(part[1]) < 3 || part[1][2] != 'x' {
			continue
		}
		from, to, _ := strings.Cut(part[0], "-")
		m := mapped{file: filepath.Base(strings.TrimLeft(part[5], " "))}
		var err1, err2 error
		m.from, err1 = strconv.ParseUint(from, 16, 64)
		m.to, err2 = strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && strings.TrimLeft(part[5], " ") != "" {
			out = append(out, m)
		}
	}
	return out
}

// stackPointer is that of a thread that waits in a call; 0 when it is not known.
func stackPointer(tid int) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", tid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b)) // number, six arguments, stack pointer, instruction
	if len(f) != 9 {
		return 0
	}
	sp, _ := strconv.ParseUint(strings.TrimPrefix(f[7], "0x"), 16, 64)
	return sp
}
