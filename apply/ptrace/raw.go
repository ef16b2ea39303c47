package ptrace

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests that x/sys has no function for, or only one without the data argument.
const (
	reqCont    = unix.PTRACE_CONT
	reqDetach  = unix.PTRACE_DETACH
	reqSeize   = unix.PTRACE_SEIZE
	reqSyscall = unix.PTRACE_SYSCALL
)

// ptrace is ptrace(2) with plain numbers.
func ptrace(req, tid int, addr, data uintptr) (int, error) {
	r, _, e := unix.Syscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, data, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), nil
}

// ptraceMem is ptrace(2) with a buffer of ours as data.
func ptraceMem(req, tid int, addr uintptr, data unsafe.Pointer) (int, error) {
	r, _, e := unix.Syscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, uintptr(data), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), nil
}

// Values of syscallInfo.Op.
const (
	opEntry = 1
	opExit  = 2
)

// syscallInfo is struct ptrace_syscall_info. U is the union: for an entry the
// number and six arguments, for an exit the result.
type syscallInfo struct {
	Op   uint8
	_    [3]byte
	Arch uint32
	IP   uint64
	SP   uint64
	U    [8]uint64
}

func getSyscallInfo(tid int) (syscallInfo, error) {
	var si syscallInfo
	_, err := ptraceMem(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(si), unsafe.Pointer(&si))
	return si, err
}

// nap sleeps for about 20 us. Go's timers would cost a millisecond.
func nap() {
	ts := unix.Timespec{Nsec: 20_000}
	_ = unix.Nanosleep(&ts, nil)
}
