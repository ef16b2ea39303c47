package ptrace

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// slotSize is the room of one slot, code and data. The vdso of Linux 6.18 ends
// in 1.5 KiB of padding: five slots. A slot that a killed tracer left in use is
// never taken again, for a thread may still be in it.
const slotSize = 304

// slot is a place in a process' vdso that holds the code of our calls.
type slot struct {
	addr  uint64 // 0: not found yet
	dirty bool
}

// find looks for a free slot: zero bytes at the end of the vdso.
func (s *slot) find(tid int) error {
	if s.addr != 0 {
		return nil
	}
	lo, hi, err := vdso(tid)
	if err != nil {
		return err
	}
	if hi-lo > 1<<20 {
		return ErrNoRoom
	}
	b := make([]byte, hi-lo)
	if err := readMem(tid, lo, b); err != nil {
		return fmt.Errorf("read vdso of thread %d: %w", tid, ErrNoRoom)
	}
	if !bytes.HasPrefix(b, []byte("\x7fELF")) {
		return ErrNoRoom
	}
	for at := len(b) - slotSize; at > len(b)/2; at -= slotSize {
		// The last section header may end in up to fifteen zero bytes of its own.
		if allZero(b[at-16 : at+slotSize]) {
			s.addr = lo + uint64(at)
			return nil
		}
	}
	return ErrNoRoom
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// vdso finds the mapping. It is read anew for each process: addresses are random.
func vdso(tid int) (lo, hi uint64, err error) {
	f, err := os.Open("/proc/" + strconv.Itoa(tid) + "/maps")
	if err != nil {
		return 0, 0, ErrGone
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := sc.Text()
		if !strings.HasSuffix(line, " [vdso]") || strings.Contains(line, "/") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &lo, &hi); err != nil {
			break
		}
		return lo, hi, nil
	}
	return 0, 0, ErrNoRoom
}

// entry is the address at which a call is begun.
func (s *slot) entry(listener bool) uint64 {
	if listener {
		return s.addr + listenerAt
	}
	return s.addr
}

// write puts the code into the slot, with the registers to return to.
func (s *slot) write(tid int, r unix.PtraceRegs) error {
	s.dirty = true
	if n, err := unix.PtracePokeData(tid, uintptr(s.addr), slotCode(resumed(r))); err != nil || n != slotSize {
		return fmt.Errorf("write to vdso of thread %d: %w", tid, ErrNoRoom)
	}
	return nil
}

// clear makes the slot padding again. Only for a thread that is not in it.
func (s *slot) clear(tid int) {
	if !s.dirty {
		return
	}
	s.dirty = false
	_, _ = unix.PtracePokeData(tid, uintptr(s.addr), make([]byte, slotSize))
}

// Offsets in the code.
const (
	listenerAt = 4
	closeAt    = 23 // with the descriptor in rdi
	recoverAt  = 30
)

// slotCode is
//
//	         syscall                  ; the call, as the tracer set the registers
//	         jmp   recover
//	listener:syscall                  ; seccomp(2) that answers a listener
//	         test  eax, eax
//	         js    recover
//	         mov   edi, eax           ; nobody took it. Wait for a tenth of a
//	         mov   ecx, waits         ; second, more or less: whoever waits for
//	again:   pause                    ; the listener may find it here
//	         dec   ecx
//	         jnz   again
//	         mov   eax, SYS_close     ; then close it, so that notified calls
//	         syscall                  ; fail and do not hang
//	recover: mov   rax, [flags]       ; no stack is used: what lies below the
//	         add   al, 0x7f           ; stack pointer may belong to anyone (Go)
//	         sahf
//	         cld/std
//	         mov   reg, [reg]...      ; all but rsp, which never changed
//	         jmp   [rip of r]
//
// followed by the values. x87, SSE and AVX registers are untouched: the kernel
// preserves them over a call.
func slotCode(r unix.PtraceRegs) []byte {
	const waits = 1 << 22 // a pause takes from 4 to 50 ns
	c := []byte{0x0f, 0x05, 0xeb, 0x1a, 0x0f, 0x05, 0x85, 0xc0, 0x78, 0x14, 0x89, 0xc7,
		0xb9, waits & 0xff, waits >> 8 & 0xff, waits >> 16 & 0xff, waits >> 24, 0xf3, 0x90, 0xff, 0xc9, 0x75, 0xfa,
		0xb8, unix.SYS_CLOSE, 0, 0, 0, 0x0f, 0x05}
	const data = 160 // offset of the values
	var values []uint64
	load := func(op []byte, v uint64) { // op with a rip-relative operand
		at := data + 8*len(values)
		values = append(values, v)
		c = append(c, op...)
		c = binary.LittleEndian.AppendUint32(c, uint32(at-(len(c)+4)))
	}
	load([]byte{0x48, 0x8b, 0x05}, (r.Eflags&0xff)<<8|(r.Eflags>>11&1))
	c = append(c, 0x04, 0x7f, 0x9e, 0xfc|byte(r.Eflags>>10&1))
	for n, v := range []uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, 0, r.Rbp, r.Rsi, r.Rdi, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15} {
		if n != 4 { // rsp
			load([]byte{0x48 | byte(n>>3)<<2, 0x8b, byte(n&7)<<3 | 5}, v)
		}
	}
	load([]byte{0xff, 0x25}, r.Rip)
	out := make([]byte, slotSize)
	copy(out, c)
	for i, v := range values {
		binary.LittleEndian.PutUint64(out[data+8*i:], v)
	}
	return out
}
