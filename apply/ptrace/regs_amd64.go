package ptrace

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// Errors that only the kernel sees: it restarts the call or turns them into EINTR.
const (
	erestartsys          = -512
	erestartnointr       = -513
	erestartnohand       = -514
	erestartRestartblock = -516
)

const userCS32 = 0x23

// check refuses what the code in the slot cannot serve.
func (t *Thread) check() error {
	if t.regs.Cs == userCS32 {
		return ErrCompat
	}
	return nil
}

// inCall says whether regs are those of a thread that was inside a call.
func inCall(r unix.PtraceRegs) bool { return int64(r.Orig_rax) >= 0 }

// callRegs are the registers with which a thread runs one call at rip.
// orig_rax -1 keeps the kernel from restarting the call it was in. The tracer
// knows the call by its mark.
func callRegs(r unix.PtraceRegs, rip uint64, nr int, a [6]uint64) unix.PtraceRegs {
	r.Rip, r.Rax, r.Orig_rax, r.R15 = rip, uint64(nr), ^uint64(0), proc.InjectedMark
	r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
	return r
}

// resumed is what the kernel makes of r when it goes back to user space with no
// signal at hand: an interrupted call is entered again.
func resumed(r unix.PtraceRegs) unix.PtraceRegs {
	if !inCall(r) {
		return r
	}
	switch int64(r.Rax) {
	case erestartsys, erestartnointr, erestartnohand:
		r.Rax = r.Orig_rax
		r.Rip -= 2
	case erestartRestartblock:
		r.Rax = unix.SYS_RESTART_SYSCALL
		r.Rip -= 2
	}
	r.Orig_rax = ^uint64(0)
	return r
}

// eintr are calls that answer EINTR to a mere stop, having done nothing, and
// may be entered again. A time limit then begins anew.
var eintr = map[uint64]bool{
	unix.SYS_EPOLL_WAIT: true, unix.SYS_EPOLL_PWAIT: true, unix.SYS_EPOLL_PWAIT2: true,
	unix.SYS_READ: true, unix.SYS_RECVFROM: true, unix.SYS_RECVMSG: true, unix.SYS_ACCEPT: true, unix.SYS_ACCEPT4: true,
	unix.SYS_SEMOP: true, unix.SYS_SEMTIMEDOP: true, unix.SYS_RT_SIGTIMEDWAIT: true,
	unix.SYS_IO_GETEVENTS: true, unix.SYS_IO_URING_ENTER: true,
}

// hideStop turns such an EINTR into the kernel's own word for "enter it again,
// unless a handler runs": then the kernel itself decides, when it goes back to
// user space, and a signal that comes late still ends the call.
func hideStop(r *unix.PtraceRegs) bool {
	if !inCall(*r) || r.Cs == userCS32 || int64(r.Rax) != -int64(unix.EINTR) || !eintr[r.Orig_rax] {
		return false
	}
	r.Rax = ^uint64(-erestartnohand - 1)
	return true
}

// rseqConfig is struct ptrace_rseq_configuration.
type rseqConfig struct {
	Ptr         uint64
	Size, Sig   uint32
	Flags, Zero uint32
}

// leaveRseq takes a thread that was interrupted in a restartable sequence to
// the sequence's abort handler, as the kernel does for a signal: our calls may
// move it to another CPU, and the sequence must not go on after that.
func (t *Thread) leaveRseq() error {
	if inCall(t.regs) {
		return nil
	}
	var c rseqConfig
	if _, err := ptraceMem(unix.PTRACE_GET_RSEQ_CONFIGURATION, t.Tid, unsafe.Sizeof(c), unsafe.Pointer(&c)); err != nil || c.Ptr == 0 {
		return nil // none in use, or the kernel cannot tell
	}
	var p [8]byte
	if n, err := unix.PtracePeekData(t.Tid, uintptr(c.Ptr+8), p[:]); err != nil || n != len(p) {
		return nil
	}
	at := binary.LittleEndian.Uint64(p[:])
	if at == 0 {
		return nil
	}
	var cs [32]byte // version, flags, start, length, abort
	if n, err := unix.PtracePeekData(t.Tid, uintptr(at), cs[:]); err != nil || n != len(cs) {
		return nil
	}
	start, length := binary.LittleEndian.Uint64(cs[8:]), binary.LittleEndian.Uint64(cs[16:])
	if t.regs.Rip-start >= length {
		return nil
	}
	t.regs.Rip = binary.LittleEndian.Uint64(cs[24:])
	_, err := unix.PtracePokeData(t.Tid, uintptr(c.Ptr+8), make([]byte, 8))
	return err
}
