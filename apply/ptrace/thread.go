package ptrace

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// How long a thread may take. One that only waits for its turn stops as soon as
// it has it: a quota of CPU that is used up, and many threads that spin, keep it
// from running for a while.
const (
	stopWithin = 500 * time.Millisecond
	turnWithin = 5 * time.Second
	callWithin = 5 * time.Second
)

// OnStep is called before every step that changes anything; it is for tests, which die
// in it.
var OnStep = func() {}

// Thread is a tracee at rest at an event stop, with its own registers. The
// owner must call Detach.
type Thread struct {
	Tid     int
	regs    unix.PtraceRegs // its own, as the kernel showed them
	slot    slot
	since   time.Time
	suspend bool // older filters may stand in the way of our calls
	gone    bool
}

// Stop seizes and interrupts one thread. The error is one of the Err values,
// wrapped, and then nothing is held; except that a thread that did not stop in
// time (ErrBusy) stays seized, running, until Reap can let it go or we exit.
func Stop(tid int) (*Thread, error) {
	if Reap(); stuck[tid] {
		return nil, fmt.Errorf("stop thread %d: %w", tid, ErrBusy)
	}
	if err := seize(tid, unix.PTRACE_O_TRACESYSGOOD); err != nil {
		return nil, err
	}
	t := &Thread{Tid: tid}
	if err := t.interrupt(); err != nil {
		t.Detach()
		return nil, err
	}
	return t, nil
}

// StopTask is Stop for a thread of process p, as Tasks listed it. Its number, or
// its process', may have a new owner since then (ErrGone). That is looked at
// where the thread is stopped: from then on the numbers stay its own.
func StopTask(p Process, task Task) (*Thread, error) {
	t, err := Stop(task.Tid)
	if err != nil {
		return nil, err
	}
	if err := t.is(p, task); err != nil {
		t.Detach()
		return nil, fmt.Errorf("identify thread %d: %w", task.Tid, err)
	}
	return t, nil
}

// is compares a stopped thread with how it was listed.
func (t *Thread) is(p Process, task Task) error {
	// The leader's own stat: the one of the process goes over all its threads.
	leader, err := readStat(fmt.Sprintf("/proc/%d/task/%d/stat", p.Pid, p.Pid))
	if err != nil {
		return err
	}
	own, err := readStat(fmt.Sprintf("/proc/%d/task/%d/stat", p.Pid, t.Tid))
	if err != nil {
		return err
	}
	if leader.start != p.Start || own.start != task.Start {
		return ErrGone
	}
	return nil
}

func seize(tid, options int) error {
	_, err := ptrace(reqSeize, tid, 0, uintptr(options))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("seize thread %d: %w", tid, ErrGone)
	case errors.Is(err, unix.EPERM):
		err = whyNotSeized(tid)
	}
	return fmt.Errorf("seize thread %d: %w", tid, err)
}

// whyNotSeized tells apart what the kernel answers EPERM to.
func whyNotSeized(tid int) error {
	s, err := readStat(fmt.Sprintf("/proc/%d/stat", tid))
	if err != nil {
		return err
	}
	if s.ended() {
		return ErrGone
	}
	switch tracer, err := tracerOf(tid); {
	case err != nil:
		return err
	case tracer == 0: // it is just ending, or just being made
		return ErrBusy
	}
	return ErrTraced
}

// interrupt brings a running, seized thread to an event stop.
func (t *Thread) interrupt() error {
	OnStep()
	if _, err := ptrace(unix.PTRACE_INTERRUPT, t.Tid, 0, 0); err != nil {
		t.gone = true
		return fmt.Errorf("interrupt thread %d: %w", t.Tid, ErrGone)
	}
	if err := t.settle(stopWithin); err != nil {
		return err
	}
	t.since = time.Now()
	return nil
}

// settle waits for the event stop of an interrupt that was asked for; signals
// that come first are delivered as they would have been. One that does not stop
// in time is left.
func (t *Thread) settle(d time.Duration) error {
	turn := time.Now().Add(turnWithin)
	for {
		s, err := wait(t.Tid, d)
		if errors.Is(err, ErrBusy) && time.Now().Before(turn) && runnable(t.Tid) {
			continue
		}
		if err != nil {
			t.leave()
			return err
		}
		switch s.kind {
		case stopEvent:
			return t.readRegs()
		case stopGroup:
			t.slot.clear(t.Tid)
			t.letGo()
			return fmt.Errorf("thread %d: %w", t.Tid, ErrStopped)
		case stopGone:
			t.gone = true
			return fmt.Errorf("thread %d: %w", t.Tid, ErrGone)
		case stopSignal:
			_, err = ptrace(reqCont, t.Tid, 0, uintptr(s.sig))
		default: // any other stop takes the interrupt back
			_, _ = ptrace(unix.PTRACE_INTERRUPT, t.Tid, 0, 0)
			_, err = ptrace(reqCont, t.Tid, 0, 0)
		}
		if err != nil {
			t.gone = true
			return fmt.Errorf("thread %d: %w", t.Tid, ErrGone)
		}
	}
}

// runnable says that a thread runs or waits for a CPU.
func runnable(tid int) bool {
	s, err := readStat(fmt.Sprintf("/proc/%d/stat", tid))
	return err == nil && s.state == 'R'
}

// readRegs reads the thread's own registers at an event stop.
func (t *Thread) readRegs() error {
	if err := unix.PtraceGetRegs(t.Tid, &t.regs); err != nil {
		t.gone = true
		return fmt.Errorf("read registers of thread %d: %w", t.Tid, ErrGone)
	}
	if err := t.leaveRseq(); err != nil {
		return err
	}
	if hideStop(&t.regs) {
		OnStep()
		return t.setRegs(&t.regs)
	}
	return nil
}

func (t *Thread) setRegs(r *unix.PtraceRegs) error {
	if err := unix.PtraceSetRegs(t.Tid, r); err != nil {
		t.gone = true
		return fmt.Errorf("set registers of thread %d: %w", t.Tid, ErrGone)
	}
	return nil
}

// Detach lets the thread go on with what it was doing. It is safe to call
// after any error. The duration is how long the thread did not run.
func (t *Thread) Detach() time.Duration {
	if t.gone {
		return 0
	}
	t.slot.clear(t.Tid)
	OnStep()
	if t.setRegs(&t.regs) != nil {
		return 0
	}
	OnStep()
	_, _ = ptrace(reqDetach, t.Tid, 0, 0)
	return time.Since(t.since)
}

// letGo gives up on a thread that has reported a stop. What it runs returns to
// its own registers by itself, so nothing else is done to it.
func (t *Thread) letGo() {
	t.gone = true
	_, _ = ptrace(reqDetach, t.Tid, 0, 0)
}

// leave gives up on one that does not stop, and cannot be detached while it
// runs: it runs on, seized, until Reap or our end.
func (t *Thread) leave() {
	t.gone = true
	leave(t.Tid)
}

// Kill ends the thread's process, which has not run an instruction of its program yet.
func (t *Thread) Kill() {
	t.gone = true
	_ = unix.Kill(t.Tid, unix.SIGKILL)
}
