package ptrace

import "time"

// stuck holds threads that we seized and could not stop, or had to let go while
// they ran. They run as they like, but anything that stops them would leave
// them stopped until we come by.
var stuck = map[int]bool{}

// Reap detaches what Stop had to leave seized, as far as it can be. Callers
// that hold on to their OS thread for more than a few milliseconds call it now
// and then; when the calling process ends, the kernel does it.
func Reap() {
	for tid := range stuck {
		reap(tid)
	}
}

// reap detaches one of them, if it has stopped meanwhile. A signal that it
// stopped for goes on to it.
func reap(tid int) {
	s, err := wait(tid, 0)
	switch err {
	case ErrBusy:
	case nil:
		settleStuck(s)
	default:
		delete(stuck, tid)
	}
}

// settleStuck detaches one that has reported.
func settleStuck(s stop) {
	sig := 0
	if s.kind == stopSignal {
		sig = s.sig
	}
	_, _ = ptrace(reqDetach, s.tid, 0, uintptr(sig))
	delete(stuck, s.tid)
}

// ReapFor is Reap for as long as there is something left, up to d.
func ReapFor(d time.Duration) {
	for end := time.Now().Add(d); ; nap() {
		Reap()
		if len(stuck) == 0 || time.Now().After(end) {
			return
		}
	}
}

// leave gives up on a thread that did not report in time. It is not detached
// blindly: it may have stopped for a signal just now, which would be lost.
func leave(tid int) {
	stuck[tid] = true
	reap(tid)
}
