package proc

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"speaker/trace"
)

// maxPoll bounds the descriptors of one poll or select that are looked at.
const maxPoll = 65536

// waitedOn lists the descriptors that a sleeping thread waits for a connection
// on, by its call's arguments.
func waitedOn(t Thread, kind waitKind) []int {
	switch kind {
	case acceptWait:
		return []int{int(int32(t.Args[0]))}
	case pollWait:
		n := min(int(uint32(t.Args[1])), maxPoll)
		return parsePollSet(t.peek(t.Args[0], 8*n))
	case selectWait:
		// The kernel overwrites the set only when the call returns.
		n := min(int(uint32(t.Args[0])), maxPoll)
		return parseFDSet(t.peek(t.Args[1], (n+7)/8), n)
	case oldSelectWait:
		a := words(t.peek(t.Args[0], 2*4))
		if len(a) < 2 {
			return nil
		}
		n := min(int(a[0]), maxPoll)
		return parseFDSet(t.peek(uint64(a[1]), (n+7)/8), n)
	case socketcallWait:
		const accept, accept4 = 5, 18
		if which := uint32(t.Args[0]); which != accept && which != accept4 {
			return nil
		}
		if a := words(t.peek(t.Args[1], 4)); len(a) == 1 {
			return []int{int(int32(a[0]))}
		}
	}
	return nil
}

// parsePollSet reads an array of struct pollfd, {int fd; short events, revents}
// on every ABI, for the descriptors that are to be readable.
func parsePollSet(b []byte) []int {
	var out []int
	for ; len(b) >= 8; b = b[8:] {
		fd, events := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint16(b[4:])
		if fd >= 0 && events&readable != 0 {
			out = append(out, int(fd))
		}
	}
	return out
}

// parseFDSet lists the first n bits of a set that are one. (In little-endian
// words of any width, bit i is bit i%8 of byte i/8.)
func parseFDSet(b []byte, n int) []int {
	var out []int
	for fd := range min(len(b)*8, n) {
		if b[fd/8]&(1<<(fd%8)) != 0 {
			out = append(out, fd)
		}
	}
	return out
}

// words splits memory of a 32-bit program.
func words(b []byte) []uint32 {
	var out []uint32
	for ; len(b) >= 4; b = b[4:] {
		out = append(out, binary.NativeEndian.Uint32(b))
	}
	return out
}

// peek reads n bytes of the thread's memory; less, or nothing, if they are not
// all there.
func (t Thread) peek(addr uint64, n int) []byte {
	if t.ABI == trace.I386 {
		addr = uint64(uint32(addr))
	}
	if n <= 0 || addr == 0 {
		return nil
	}
	b, got := make([]byte, n), 0
	answered := patient.ask(t.Pid, func() {
		got, _ = unix.ProcessVMReadv(t.Pid, []unix.Iovec{{Base: &b[0], Len: uint64(n)}},
			[]unix.RemoteIovec{{Base: uintptr(addr), Len: n}}, 0)
	})
	if !answered { // b and got still belong to the question
		return nil
	}
	if got <= 0 || got > n {
		return nil
	}
	return b[:got]
}
