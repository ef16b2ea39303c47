package ptrace

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// stopKind says why a tracee reported.
type stopKind uint8

const (
	stopEvent   stopKind = iota // our interrupt took effect (PTRACE_EVENT_STOP)
	stopGroup                   // job control stopped the process
	stopSignal                  // a signal is about to be delivered
	stopSyscall                 // entry or exit of a call
	stopExec                    // exec is done, before the first instruction
	stopClone                   // a new thread was made, and is traced too
	stopGone                    // it exited
)

// stop is one report of a tracee.
type stop struct {
	tid  int
	kind stopKind
	sig  int
}

const syscallStop = int(unix.SIGTRAP) | 0x80

// classify turns a wait status into a stop.
func classify(tid int, ws unix.WaitStatus) stop {
	s := stop{tid: tid, kind: stopGone}
	if !ws.Stopped() {
		return s
	}
	s.sig = int(ws.StopSignal())
	switch ev := int(ws) >> 16; {
	case ev == unix.PTRACE_EVENT_STOP && s.sig == int(unix.SIGTRAP):
		s.kind = stopEvent
	case ev == unix.PTRACE_EVENT_STOP:
		s.kind = stopGroup
	case ev == unix.PTRACE_EVENT_EXEC:
		s.kind = stopExec
	case ev != 0:
		s.kind = stopClone
	case s.sig == syscallStop:
		s.kind = stopSyscall
	default:
		s.kind = stopSignal
	}
	return s
}

// wait blocks until the tracee tid (-1: any) reports, for at most d.
func wait(tid int, d time.Duration) (stop, error) {
	end := time.Now().Add(d)
	for n := 0; ; n++ {
		var ws unix.WaitStatus
		got, err := unix.Wait4(tid, &ws, unix.WALL|unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return stop{}, fmt.Errorf("wait for thread %d: %w", tid, err)
		case got != 0:
			return classify(got, ws), nil
		case n > 20 && time.Now().After(end):
			return stop{}, ErrBusy
		default:
			nap()
		}
	}
}

// reported takes up the report of any tracee, if there is one.
func reported() (stop, bool) {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, unix.WALL|unix.WNOHANG, nil)
		if err != unix.EINTR {
			return classify(got, ws), err == nil && got > 0
		}
	}
}
