package keeper

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// What is stopped does not answer, and whoever calls waits. So the kernel lets us go
// on (SIGCONT) when we have not put that off for stoppedAtMost.
const (
	beat          = time.Second
	stoppedAtMost = 2 * time.Second
)

// alarms are timers of the kernel's that send us SIGCONT, one after the other. That has
// an effect on a stopped process alone. One would not do: who is stopped again right
// after it rang has not put it off anew.
type alarms [8]int32

// sigevent is struct sigevent of timer_create(2).
type sigevent struct {
	value          uint64
	signal, notify int32
	_              [48]byte
}

// newAlarms makes them; what cannot be made is -1.
func newAlarms() (a alarms) {
	e := sigevent{signal: int32(unix.SIGCONT)}
	for i := range a {
		_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&e)), uintptr(unsafe.Pointer(&a[i])))
		if errno != 0 {
			a[i] = -1
		}
	}
	return a
}

// putOff has the first ring stoppedAtMost from now, and the others at such distances.
func (a alarms) putOff() {
	for i, id := range a {
		when := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(i+1) * int64(stoppedAtMost))}
		_, _, _ = unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(id), 0, uintptr(unsafe.Pointer(&when)), 0, 0, 0)
	}
}

// goOn has the kernel let this process go on whenever it is stopped, until its end.
func goOn() {
	a := newAlarms()
	a.putOff()
	go func() {
		for range time.Tick(beat) {
			a.putOff()
		}
	}()
}

// stillness says why a keeper that is there does not answer; "" when that is not seen.
func stillness(pid int) string {
	if frozen, err := proc.Frozen(pid); err == nil && frozen {
		return fmt.Sprintf("its keeper (process %d) is frozen, and removed calls wait for it: thaw its cgroup", pid)
	}
	switch i, err := proc.Read(pid); {
	case err != nil:
	case i.Tracer != 0:
		return fmt.Sprintf("its keeper (process %d) is traced by process %d, and removed calls wait for it: end that", pid, i.Tracer)
	case i.State == 'T':
		return fmt.Sprintf("its keeper (process %d) is stopped, and removed calls wait for it: kill -CONT %d", pid, pid)
	}
	return ""
}
