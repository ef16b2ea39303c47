package ptrace

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Result tells what Install did to one process.
type Result struct {
	Already    bool          // every thread had the filter as its newest
	Partly     bool          // beside an error: some thread has, or may have, the filter
	NoNewPrivs bool          // no_new_privs had to be set
	Stopped    time.Duration // the longest that one thread did not run
	Threads    int           // threads that were stopped
}

// Install puts filter f into every thread of process p, permanently. One
// thread is stopped, for about a millisecond; the kernel gives the filter to the
// others at once (TSYNC). When their filters differ, or the first one is found to
// have it, each thread is served by itself. A thread that has f as its newest
// filter is left alone.
//
// After an error the process may be half filtered: Result.Partly says so, and
// another Install serves what is missing.
func Install(p Process, f []unix.SockFilter) (Result, error) {
	if len(f) == 0 || len(f) > 4096 {
		return Result{}, fmt.Errorf("install filter in %d: %d instructions", p.Pid, len(f))
	}
	var r Result
	err := r.through(p, f)
	if errors.Is(err, errDiverged) {
		err = r.each(p, f)
	}
	switch {
	case err == nil:
		r.Partly = false
		return r, nil
	case r.Partly:
		err = fmt.Errorf("%w; some of its threads may have the filter", err)
	}
	return r, fmt.Errorf("install filter in process %d: %w", p.Pid, err)
}

// through installs by way of the first thread that can be stopped.
func (r *Result) through(p Process, f []unix.SockFilter) error {
	tasks, err := Tasks(p.Pid)
	if err != nil {
		return err
	}
	err = ErrNoThread
	for i, task := range tasks {
		if i == 8 {
			break
		}
		var had bool
		if had, err = r.install(p, task, f, unix.SECCOMP_FILTER_FLAG_TSYNC); isUnstopped(err) {
			continue
		}
		r.Already = had
		if err == nil && had && len(tasks) > 1 {
			// No number tells whether the others have it too: a thread may
			// have as many filters, and another one on top.
			return errDiverged
		}
		return err
	}
	if len(tasks) == 0 {
		return ErrGone
	}
	return err
}

// isUnstopped says that an error is about one thread that was not stopped:
// another one may do.
func isUnstopped(err error) bool { return errors.Is(err, ErrGone) || errors.Is(err, ErrBusy) }

// calm is after how many passes without a thread that lacked the filter those
// that end meanwhile need not be followed any more. One of them may have exec'ed,
// under the leader's number, after the leader was looked at.
const calm = 3

// each installs in every thread by itself, until there is none without it. A
// thread that cannot be served does not keep the others from it.
func (r *Result) each(p Process, f []unix.SockFilter) error {
	r.Already = true
	clean := 0
	for range 20 {
		s, err := r.pass(p, f)
		if err != nil {
			return err
		}
		if clean++; s.lacked {
			r.Already, clean = false, 0
		}
		if clean == calm || clean > 0 && !s.ended {
			return nil
		}
	}
	return fmt.Errorf("threads appear faster than they can be filtered: %w", ErrBusy)
}

// pass is what one go over the threads of a process met.
type pass struct{ lacked, ended bool }

func (r *Result) pass(p Process, f []unix.SockFilter) (s pass, err error) {
	tasks, err := Tasks(p.Pid)
	if err != nil {
		return s, err
	}
	met := false
	for _, task := range tasks {
		had, failed := r.install(p, task, f, 0)
		switch {
		case errors.Is(failed, ErrGone):
			s.ended = true
		case failed != nil:
			err = cmp.Or(err, failed)
		default:
			r.Partly, met = true, true
			s.lacked = s.lacked || !had
		}
	}
	if err == nil && !met {
		err = ErrGone
	}
	return s, err
}

// install stops one thread, works on it and lets it go. It says whether the
// thread had the filter before.
func (r *Result) install(p Process, task Task, f []unix.SockFilter, flags uint64) (had bool, err error) {
	t, err := StopTask(p, task)
	if err != nil {
		return false, err
	}
	r.Threads++
	defer func() { r.Stopped = max(r.Stopped, t.Detach()) }()
	if err := t.check(); err != nil {
		return false, err
	}
	had, count, err := t.newestIs(f)
	if err != nil || had {
		return had, err
	}
	t.suspend = count > 0
	a, err := t.place(f)
	if err != nil {
		return false, err
	}
	nnp, err := a.load(flags)
	r.NoNewPrivs = r.NoNewPrivs || nnp
	r.Partly = r.Partly || !isRefusal(err)
	a.free()
	if err != nil {
		return false, err
	}
	has, _, err := t.newestIs(f)
	if err == nil && !has {
		err = ErrTampered
	}
	return false, err
}

// isRefusal says that it was the kernel that did not load the filter. After any
// other error, nobody knows.
func isRefusal(err error) bool {
	var errno unix.Errno
	return errors.Is(err, errDiverged) || errors.As(err, &errno)
}
