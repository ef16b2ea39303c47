package policy

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Action is what a filter answers: a SECCOMP_RET_* value with its data in the
// low 16 bits.
type Action uint32

// The actions of a kernel without data, strictest first.
const (
	ActKillProcess Action = unix.SECCOMP_RET_KILL_PROCESS
	ActKillThread  Action = unix.SECCOMP_RET_KILL_THREAD
	ActTrap        Action = unix.SECCOMP_RET_TRAP
	ActErrno       Action = unix.SECCOMP_RET_ERRNO // with the error as data: see RefuseWith
	ActNotify      Action = unix.SECCOMP_RET_USER_NOTIF
	ActTrace       Action = unix.SECCOMP_RET_TRACE
	ActLog         Action = unix.SECCOMP_RET_LOG // allowed, and logged
	ActAllow       Action = unix.SECCOMP_RET_ALLOW
)

// maxErrno is the largest error a filter can give; the kernel cuts larger ones.
const maxErrno = 4095

// RefuseWith returns the action that lets the call fail with e.
func RefuseWith(e unix.Errno) Action {
	return ActErrno | Action(min(e, maxErrno))
}

// Kind returns the action without its data.
func (a Action) Kind() Action { return a & unix.SECCOMP_RET_ACTION_FULL }

// Data returns the low 16 bits.
func (a Action) Data() uint16 { return uint16(a & unix.SECCOMP_RET_DATA) }

// Allows reports whether the kernel lets the call happen.
func (a Action) Allows() bool { return a.Kind() == ActAllow || a.Kind() == ActLog }

// Denies reports whether the kernel lets the call fail, or worse. ActNotify and
// ActTrace neither allow nor deny: someone else decides.
func (a Action) Denies() bool {
	return !a.Allows() && a.Kind() != ActNotify && a.Kind() != ActTrace
}

// Errno returns the error that the call fails with, 0 if the action is not one
// that gives an error.
func (a Action) Errno() unix.Errno {
	if a.Kind() != ActErrno {
		return 0
	}
	return min(unix.Errno(a.Data()), maxErrno)
}

// Over returns what a filter's answer a makes of what the filters below it
// answered: the stricter one, of equally strict ones its own.
func (a Action) Over(below Action) Action {
	if below.stricter(a) {
		return below
	}
	return a
}

// stricter reports whether the kernel puts a before b: it compares the kinds as
// signed numbers, the lowest wins.
func (a Action) stricter(b Action) bool { return int32(a.Kind()) < int32(b.Kind()) }

// Effect says what becomes of a call that gets the answer: "fails with EPERM".
func (a Action) Effect() string {
	switch a.Kind() {
	case ActAllow:
		return "goes through"
	case ActLog:
		return "goes through and is logged"
	case ActKillProcess:
		return "kills its process"
	case ActKillThread:
		return "kills its thread"
	case ActTrap:
		return "raises SIGSYS"
	case ActErrno:
		return "fails with " + a.String()
	}
	return "is put before a supervisor"
}

// ParseAction reads what String returns of an action of a known kind, errors also by
// number ("errno 5"). Any input is safe.
func ParseAction(s string) (Action, error) {
	for _, a := range []Action{ActAllow, ActNotify, ActTrace, ActLog, ActTrap, ActKillThread, ActKillProcess} {
		if a.String() == s {
			return a, nil
		}
	}
	for n := unix.Errno(1); n < 200; n++ {
		if s != "" && unix.ErrnoName(n) == s {
			return RefuseWith(n), nil
		}
	}
	if text, ok := strings.CutPrefix(s, "errno "); ok {
		if n, err := strconv.ParseUint(text, 10, 16); err == nil && n <= maxErrno {
			return ActErrno | Action(n), nil
		}
	}
	return 0, fmt.Errorf("no action %q: want allow, EPERM, errno 5, kill process, trap, log, …", shorten(s))
}

// String returns "allow", "notify", "EPERM", "kill process".
func (a Action) String() string {
	switch a.Kind() {
	case ActKillProcess:
		return "kill process"
	case ActKillThread:
		return "kill thread"
	case ActTrap:
		return "trap"
	case ActErrno:
		if name := unix.ErrnoName(a.Errno()); name != "" {
			return name
		}
		return fmt.Sprintf("errno %d", a.Data())
	case ActNotify:
		return "notify"
	case ActTrace:
		return "trace"
	case ActLog:
		return "log"
	case ActAllow:
		return "allow"
	}
	return fmt.Sprintf("unknown action %#x", uint32(a))
}
