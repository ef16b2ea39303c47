package ptrace

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Result tells what Install did to one process.
type Result struct {
	Already    bool          // it had the filter as its newest
	NoNewPrivs bool          // no_new_privs had to be set
	Stopped    time.Duration // the longest that one thread did not run
	Threads    int           // threads that were stopped
}

// Install puts filter f into every thread of process pid, permanently. One
// thread is stopped, for about a millisecond; the kernel gives the filter to the
// others at once (TSYNC). When their filters differ, each thread is served by
// itself. A process that has f as its newest filter everywhere is left alone.
func Install(pid int, f []unix.SockFilter) (Result, error) {
	if len(f) == 0 || len(f) > 4096 {
		return Result{}, fmt.Errorf("install filter in %d: %d instructions", pid, len(f))
	}
	var r Result
	err := r.through(pid, f, unix.SECCOMP_FILTER_FLAG_TSYNC)
	if errors.Is(err, errDiverged) {
		err = r.each(pid, f)
	}
	if err != nil {
		return r, fmt.Errorf("install filter in process %d: %w", pid, err)
	}
	return r, nil
}

// through installs by way of the first thread that can be stopped.
func (r *Result) through(pid int, f []unix.SockFilter, flags uint64) error {
	tasks, err := Tasks(pid)
	if err != nil {
		return err
	}
	err = ErrNoThread
	for i, task := range tasks {
		if i == 8 {
			break
		}
		var t *Thread
		if t, err = Stop(task.Tid); err != nil {
			if errors.Is(err, ErrGone) || errors.Is(err, ErrBusy) {
				continue
			}
			return err
		}
		count := 0
		count, err = r.install(t, f, flags)
		if err == nil && r.Already && !sameCount(pid, count) {
			return errDiverged
		}
		return err
	}
	if len(tasks) == 0 {
		return ErrGone
	}
	return err
}

// sameCount says whether every thread has count filters. With TSYNC's rule that
// filters only grow, a thread that lacks the newest has another count.
func sameCount(pid, count int) bool {
	tasks, err := Tasks(pid)
	if err != nil {
		return true
	}
	for _, t := range tasks {
		if t.Filters != count {
			return false
		}
	}
	return true
}

// each installs in every thread by itself, until there is none without it.
func (r *Result) each(pid int, f []unix.SockFilter) error {
	for range 20 {
		tasks, err := Tasks(pid)
		if err != nil {
			return err
		}
		missing := 0
		for _, task := range tasks {
			t, err := Stop(task.Tid)
			if errors.Is(err, ErrGone) {
				continue
			}
			if err != nil {
				return err
			}
			r.Already = false
			if _, err := r.install(t, f, 0); err != nil && !errors.Is(err, ErrGone) {
				return err
			}
			if !r.Already {
				missing++
			}
		}
		if missing == 0 {
			r.Already = false
			return nil
		}
	}
	return fmt.Errorf("threads appear faster than they can be filtered: %w", ErrBusy)
}

// install works on one stopped thread and lets it go. The count is that of its
// filters before.
func (r *Result) install(t *Thread, f []unix.SockFilter, flags uint64) (count int, err error) {
	r.Threads++
	defer func() { r.Stopped = max(r.Stopped, t.Detach()) }()
	if err := t.check(); err != nil {
		return 0, err
	}
	has, count, err := t.newestIs(f)
	if err != nil || has {
		r.Already = has
		return count, err
	}
	t.suspend = count > 0
	a, err := t.place(f)
	if err != nil {
		return count, err
	}
	nnp, err := a.load(flags)
	r.NoNewPrivs = r.NoNewPrivs || nnp
	a.free()
	if err != nil {
		return count, err
	}
	if has, _, err = t.newestIs(f); err == nil && !has {
		err = ErrTampered
	}
	return count, err
}
