package ptrace

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// allWithin is how long all threads of a process may take to stop. Those that did wait
// for the others: one that sleeps uninterruptibly is better tried again.
const allWithin = 20 * time.Millisecond

// InstallHeld puts filter f, with a listener, into every thread of process p. All of them
// are stopped until send has the listener and the process has closed its own: no child
// inherits it, and none of their calls is notified before. Threads with different filters
// get a listener each. A thread that has f already, with a listener, is left alone; one
// whose listener is gone gets f on top of it, which is heard in its place.
//
// send gets a descriptor that is closed after it returns. When it fails, the filter is in
// place and its notified calls fail with ENOSYS. After any error, Result.Partly says
// whether some thread may have the filter.
func InstallHeld(p Process, f []unix.SockFilter, send func(listener int) error) (r Result, err error) {
	if len(f) == 0 || len(f) > 4096 {
		return r, fmt.Errorf("install filter in %d: %d instructions", p.Pid, len(f))
	}
	all, err := stopAll(p)
	if err == nil {
		r.Threads = len(all)
		err = r.hold(all, f, send)
	}
	for _, t := range slices.Backward(all) { // the first one stopped first
		r.Stopped = max(r.Stopped, t.Detach())
	}
	switch {
	case err == nil:
		r.Partly = false
		return r, nil
	case r.Partly:
		err = fmt.Errorf("%w; some of its threads may have the filter", err)
	}
	return r, fmt.Errorf("install filter with listener in process %d: %w", p.Pid, err)
}

// hold serves threads that are all at rest.
func (r *Result) hold(all []*Thread, f []unix.SockFilter, send func(listener int) error) error {
	for _, t := range all {
		if err := t.check(); err != nil {
			return err
		}
	}
	had, err := all[0].installHeld(r, f, unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH, send)
	if err == nil && !had {
		return nil
	}
	if err != nil && (!errors.Is(err, unix.ESRCH) || r.Partly) {
		return err
	}
	r.Already = true
	for _, t := range all {
		had, err := t.installHeld(r, f, 0, send)
		if err != nil {
			return err
		}
		r.Partly, r.Already = true, r.Already && had
	}
	return nil
}

// installHeld says whether the thread had the filter, with a listener that somebody has.
// Only the kernel knows the latter: it takes no second listener beside such a one.
func (t *Thread) installHeld(r *Result, f []unix.SockFilter, flags uint64, send func(listener int) error) (had bool, err error) {
	err = t.installListener(r, f, flags, send)
	t.slot.clear(t.Tid) // there are few, and another thread may need it
	if !errors.Is(err, unix.EBUSY) {
		return false, err
	}
	had, err = t.has(f)
	switch {
	case err != nil:
		return false, err
	case !had:
		return false, ErrHeld
	}
	return true, t.sendOpen(send)
}

// sendOpen takes the listeners that the thread has open. An injector that was killed may
// have left it one, which it closes by itself in a moment.
func (t *Thread) sendOpen(send func(listener int) error) error {
	fds, err := proc.Listeners(t.Tid)
	if err != nil || len(fds) == 0 {
		return err
	}
	pidfd, err := t.fds()
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	for _, fd := range fds {
		listener, err := unix.PidfdGetfd(pidfd, fd, 0)
		if err != nil {
			return fmt.Errorf("take the listener: %w", err)
		}
		err = send(listener)
		unix.Close(listener)
		if err != nil {
			return err
		}
	}
	return nil
}

// stopAll stops every thread of a process, the leader first in the list. On an error none
// is held, except for what Stop says of ErrBusy.
func stopAll(p Process) (all []*Thread, err error) {
	held := map[int]bool{}
	for more := true; more && err == nil; {
		var fresh []*Thread
		if fresh, err = stopNew(p, held); errors.Is(err, ErrGone) && len(fresh)+len(all) > 0 {
			err = nil
		}
		more = len(fresh) > 0
		all = append(all, fresh...)
	}
	if err == nil && len(all) == 0 {
		err = ErrGone
	}
	if err != nil {
		for _, t := range all {
			t.Detach()
		}
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b *Thread) int {
		return cmp.Or(cmp.Compare(leads(b, p), leads(a, p)), cmp.Compare(a.Tid, b.Tid))
	})
	return all, nil
}

func leads(t *Thread, p Process) int {
	if t.Tid == p.Pid {
		return 1
	}
	return 0
}

// stopNew stops the threads that are not held yet: asks all of them first, and then waits
// for each.
func stopNew(p Process, held map[int]bool) (out []*Thread, err error) {
	tasks, err := Tasks(p.Pid)
	if err != nil {
		return nil, err
	}
	var asked []Task
	for _, task := range tasks {
		if held[task.Tid] {
			continue
		}
		if Reap(); stuck[task.Tid] {
			err = fmt.Errorf("stop thread %d: %w", task.Tid, ErrBusy)
			break
		}
		if err = seize(task.Tid, unix.PTRACE_O_TRACESYSGOOD); errors.Is(err, ErrGone) {
			err = nil
			continue
		}
		if err != nil {
			break
		}
		OnStep()
		_, _ = ptrace(unix.PTRACE_INTERRUPT, task.Tid, 0, 0)
		asked = append(asked, task)
	}
	since := time.Now()
	for _, task := range asked { // all, also after an error: each is to be let go
		t := &Thread{Tid: task.Tid, since: since}
		failed := t.settle(allWithin)
		if failed == nil {
			failed = t.is(p, task)
		}
		switch {
		case failed == nil && err == nil:
			held[task.Tid] = true
			out = append(out, t)
			continue
		case errors.Is(failed, ErrGone), errors.Is(failed, unix.ECHILD): // it ended, or another has its number
		default:
			err = cmp.Or(err, failed)
		}
		t.Detach()
	}
	return out, err
}
