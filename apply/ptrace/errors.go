package ptrace

import "errors"

// Why a thread could not be worked on. All but ErrGone leave it as it was; other
// threads of its process may have got the filter before (see Result.Partly).
var (
	ErrGone     = errors.New("it ended meanwhile")
	ErrBusy     = errors.New("it does not stop (uninterruptible, or the parent of a vfork)")
	ErrStopped  = errors.New("it is stopped by job control")
	ErrTraced   = errors.New("another tracer is attached, or it may not be traced")
	ErrCompat   = errors.New("it is a 32-bit process, which cannot be injected yet")
	ErrNoRoom   = errors.New("its vdso has no room for the calls")
	ErrTampered = errors.New("it ran something else than the call it was given")
	ErrHeld     = errors.New("a filter of another supervisor's is there, and the kernel takes one listener only")
	ErrNoThread = errors.New("it has no thread that can be stopped now")
	ErrNoExec   = errors.New("it came in and did not exec a program")
	ErrArch     = errors.New("this machine's architecture is not supported yet")
)
