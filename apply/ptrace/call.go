package ptrace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// tries bounds how often a call is begun anew because a signal came first.
const tries = 50

// Call makes the thread run one system call and brings it back to rest. The
// result is the kernel's; its error is a unix.Errno. Any other error means that
// the call was not made, or the thread is gone; Detach stays right in each case.
func (t *Thread) Call(nr int, args ...uint64) (uint64, error) {
	if err := t.begin(false, nr, args); err != nil {
		return 0, err
	}
	r, err := t.exit()
	if err != nil {
		return 0, err
	}
	if err := t.rest(); err != nil {
		return 0, err
	}
	return result(r)
}

// callForFD is Call for a call that answers a descriptor that must not stay in
// the process: took copies it, then the process closes it. There is no moment
// at which our death would leave it open.
func (t *Thread) callForFD(took func(fd int) error, nr int, args ...uint64) error {
	if err := t.begin(true, nr, args); err != nil {
		return err
	}
	r, err := t.exit()
	if err != nil {
		return err
	}
	fd, errno := result(r)
	if errno != nil {
		if err := t.rest(); err != nil {
			return err
		}
		return errno
	}
	OnStep()
	tookErr := took(int(fd))
	if err := t.intoClose(fd); err != nil {
		return err
	}
	if _, err := t.exit(); err != nil {
		return err
	}
	return errors.Join(tookErr, t.rest())
}

// intoClose lets the thread go on, by its own code but without its wait, to the entry
// of close(fd). A signal is delivered where it stands: whatever its handler does returns
// here.
func (t *Thread) intoClose(fd uint64) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(t.Tid, &regs); err != nil {
		t.gone = true
		return ErrGone
	}
	regs.Rip, regs.Rdi = t.slot.addr+closeAt, fd
	OnStep()
	if err := t.setRegs(&regs); err != nil {
		return err
	}
	sig := 0
	for {
		OnStep()
		if _, err := ptrace(reqSyscall, t.Tid, 0, uintptr(sig)); err != nil {
			t.gone = true
			return ErrGone
		}
		s, err := wait(t.Tid, callWithin)
		if err != nil {
			t.leave()
			return err
		}
		sig = 0
		switch s.kind {
		case stopGone:
			t.gone = true
			return ErrGone
		case stopGroup:
			t.letGo()
			return ErrStopped
		case stopSignal:
			sig = s.sig
		case stopSyscall:
			si, err := getSyscallInfo(t.Tid)
			if err == nil && si.Op == opEntry && si.U[0] == unix.SYS_CLOSE && si.U[1] == fd && si.IP == t.slot.addr+recoverAt {
				return nil
			}
		}
	}
}

// result splits what the kernel answered into value and errno.
func result(r uint64) (uint64, error) {
	if e := int64(r); e < 0 && e > -4096 {
		return 0, unix.Errno(-e)
	}
	return r, nil
}

// begin brings the thread to the entry of a call, verified.
func (t *Thread) begin(listener bool, nr int, args []uint64) error {
	if t.gone {
		return ErrGone
	}
	if err := t.slot.find(t.Tid); err != nil {
		return err
	}
	var a [6]uint64
	copy(a[:], args)
	for range tries {
		if err := t.check(); err != nil {
			return err
		}
		OnStep()
		if err := t.slot.write(t.Tid, t.regs); err != nil {
			return err
		}
		regs := callRegs(t.regs, t.slot.entry(listener), nr, a)
		OnStep()
		if err := t.setRegs(&regs); err != nil {
			return err
		}
		if begun, err := t.enter(regs.Rip, nr, a); begun || err != nil {
			return err
		}
	}
	return fmt.Errorf("thread %d gets signals without a pause: %w", t.Tid, ErrBusy)
}

// enter lets the thread run into the call. It answers false when a signal came
// first: that is then delivered as if we were not there, and the thread is
// at rest again where the signal led it.
func (t *Thread) enter(rip uint64, nr int, a [6]uint64) (bool, error) {
	for {
		OnStep()
		if _, err := ptrace(reqSyscall, t.Tid, 0, 0); err != nil {
			t.gone = true
			return false, ErrGone
		}
		s, err := wait(t.Tid, callWithin)
		if err != nil {
			t.leave()
			return false, err
		}
		switch s.kind {
		case stopEvent:
			continue
		case stopSyscall:
			return true, t.verify(rip, nr, a)
		case stopGone:
			t.gone = true
			return false, ErrGone
		}
		// A signal or a group stop: its own registers back, and let it happen.
		OnStep()
		if err := t.setRegs(&t.regs); err != nil {
			return false, err
		}
		if s.kind == stopGroup {
			t.slot.clear(t.Tid)
			t.letGo()
			return false, ErrStopped
		}
		return false, t.deliver(s.sig)
	}
}

// deliver passes a signal on and stops the thread again after it, which may be
// at the first instruction of a handler.
func (t *Thread) deliver(sig int) error {
	_, _ = ptrace(unix.PTRACE_INTERRUPT, t.Tid, 0, 0)
	OnStep()
	if _, err := ptrace(reqCont, t.Tid, 0, uintptr(sig)); err != nil {
		t.gone = true
		return ErrGone
	}
	return t.settle(stopWithin)
}

// verify checks at the entry that the thread makes the very call it was given.
// Another thread of a hostile process may have rewritten the code; what is not
// ours is turned into no call at all, so that suspended filters never let it by.
func (t *Thread) verify(rip uint64, nr int, a [6]uint64) error {
	si, err := getSyscallInfo(t.Tid)
	if err == nil && si.Op == opEntry && si.IP == rip+2 && si.U[0] == uint64(nr) && [6]uint64(si.U[1:7]) == a {
		return nil
	}
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(t.Tid, &regs) == nil {
		regs.Orig_rax = ^uint64(0)
		_ = unix.PtraceSetRegs(t.Tid, &regs)
	}
	if _, err := t.run(); err != nil {
		return err
	}
	if err := t.rest(); err != nil {
		return err
	}
	return fmt.Errorf("thread %d: %w", t.Tid, ErrTampered)
}

// exit runs the verified call, with older filters suspended when asked, to its exit.
func (t *Thread) exit() (uint64, error) {
	if !t.suspend {
		return t.run()
	}
	if err := unix.PtraceSetOptions(t.Tid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_SUSPEND_SECCOMP); err != nil {
		t.suspend = false // not allowed: the older filters decide
		return t.run()
	}
	r, err := t.run()
	if err == nil {
		err = unix.PtraceSetOptions(t.Tid, unix.PTRACE_O_TRACESYSGOOD)
	}
	return r, err
}

// run goes from a call's entry to its exit.
func (t *Thread) run() (uint64, error) {
	OnStep()
	if _, err := ptrace(reqSyscall, t.Tid, 0, 0); err != nil {
		t.gone = true
		return 0, ErrGone
	}
	s, err := wait(t.Tid, callWithin)
	switch {
	case err != nil:
		t.leave()
		return 0, err
	case s.kind != stopSyscall:
		t.gone = true
		return 0, ErrGone
	}
	si, err := getSyscallInfo(t.Tid)
	if err != nil || si.Op != opExit {
		t.letGo()
		return 0, fmt.Errorf("thread %d: result of the call: %w", t.Tid, ErrTampered)
	}
	return si.U[0], nil
}

// rest brings the thread from a call's exit to an event stop and gives it its
// own registers back. An interrupt is taken before any signal.
func (t *Thread) rest() error {
	OnStep()
	_, _ = ptrace(unix.PTRACE_INTERRUPT, t.Tid, 0, 0)
	if _, err := ptrace(reqCont, t.Tid, 0, 0); err != nil {
		t.gone = true
		return ErrGone
	}
	s, err := wait(t.Tid, callWithin)
	switch {
	case err != nil:
		t.leave()
		return err
	case s.kind == stopGone:
		t.gone = true
		return ErrGone
	}
	OnStep()
	if err := t.setRegs(&t.regs); err != nil {
		return err
	}
	switch s.kind {
	case stopEvent:
		return nil
	case stopSignal: // not expected: the interrupt comes first
		return t.deliver(s.sig)
	}
	t.slot.clear(t.Tid)
	t.letGo() // a group stop: it stays stopped, with its own registers
	return ErrStopped
}
