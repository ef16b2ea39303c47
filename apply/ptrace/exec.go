package ptrace

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Watch is a process that is about to exec, with all its threads seized. They
// run freely. Close or Exec ends it.
type Watch struct {
	pid  int
	tids map[int]bool
}

const watchOptions = unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESYSGOOD

// WatchExec seizes every thread of pid, so that its next exec, by whichever
// thread, is caught before the new program's first instruction.
func WatchExec(pid int) (*Watch, error) {
	w := &Watch{pid: pid, tids: map[int]bool{}}
	for more := true; more; {
		more = false
		tasks, err := Tasks(pid)
		if err != nil {
			w.Close()
			return nil, err
		}
		for _, t := range tasks {
			if w.tids[t.Tid] {
				continue
			}
			err := seize(t.Tid, watchOptions)
			if errors.Is(err, ErrGone) {
				continue
			}
			if err != nil {
				w.Close()
				return nil, err
			}
			w.tids[t.Tid] = true
			more = true
		}
	}
	if len(w.tids) == 0 {
		return nil, ErrGone
	}
	return w, nil
}

// Exec waits for the exec and returns the program's only thread, at rest
// before its first instruction. It ends early when the process ends (ErrGone)
// or cancelled answers true (ErrBusy). The Watch is over in any case.
func (w *Watch) Exec(cancelled func() bool) (*Thread, error) {
	for {
		s, err := wait(-1, 5*time.Millisecond)
		if errors.Is(err, ErrBusy) {
			if cancelled() {
				w.Close()
				return nil, fmt.Errorf("wait for the exec of process %d: %w", w.pid, ErrBusy)
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait for the exec of process %d: %w", w.pid, ErrGone)
		}
		switch s.kind {
		case stopExec:
			return atExec(s.tid)
		case stopGone:
			delete(w.tids, s.tid)
			if s.tid == w.pid && len(w.tids) == 0 {
				return nil, ErrGone
			}
		case stopSignal:
			_, _ = ptrace(reqCont, s.tid, 0, uintptr(s.sig))
		case stopGroup:
			w.tids[s.tid] = true
			_, _ = ptrace(unix.PTRACE_LISTEN, s.tid, 0, 0)
		default: // a clone, or a new thread's first stop
			w.tids[s.tid] = true
			_, _ = ptrace(reqCont, s.tid, 0, 0)
		}
	}
}

// atExec leads the thread out of the exec call, where its registers count.
func atExec(tid int) (*Thread, error) {
	t := &Thread{Tid: tid, since: time.Now()}
	_, _ = ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
	if _, err := ptrace(reqCont, tid, 0, 0); err != nil {
		return nil, ErrGone
	}
	if err := t.settle(stopWithin); err != nil {
		t.Detach()
		return nil, err
	}
	return t, nil
}

// Close lets the process go on unwatched.
func (w *Watch) Close() {
	for tid := range w.tids {
		t := &Thread{Tid: tid}
		_ = t.interrupt()
		t.Detach()
	}
	w.tids = nil
}

// InstallListener puts filter f, with a listener, into the thread that Exec
// returned, and lets the thread go. send gets a descriptor of the listener,
// which is closed after it returns; the process keeps none. When send
// fails, the filter is in place and its notified calls fail with ENOSYS.
func (t *Thread) InstallListener(f []unix.SockFilter, send func(listener int) error) (Result, error) {
	r := Result{Threads: 1}
	err := t.installListener(&r, f, 0, send)
	r.Stopped = t.Detach()
	if err != nil {
		return r, fmt.Errorf("install filter with listener in process %d: %w", t.Tid, err)
	}
	r.Partly = false
	return r, nil
}
