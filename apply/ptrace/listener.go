package ptrace

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pidfdThread asks pidfd_open for a thread that leads no process (Linux 6.9).
const pidfdThread = unix.O_EXCL

// installListener puts f, with a listener, into the thread, and with the flags of TSYNC
// into all others of its process. send gets a descriptor of the listener, which is closed
// after it returns; the process keeps none. r learns of no_new_privs, and whether the
// filter is, or may be, in place, also beside an error.
func (t *Thread) installListener(r *Result, f []unix.SockFilter, flags uint64, send func(listener int) error) error {
	if err := t.check(); err != nil {
		return err
	}
	pidfd, err := t.fds()
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	t.suspend = true // the close of the listener meets the filter itself
	a, err := t.place(f)
	if err != nil {
		return err
	}
	nnp, err := a.loadListener(flags, func(fd int) error {
		r.Partly = true
		listener, err := unix.PidfdGetfd(pidfd, fd, 0)
		if err != nil {
			return fmt.Errorf("take the listener: %w", err)
		}
		defer unix.Close(listener)
		if !isListener(listener) { // a process that shares its descriptors has put another there
			return fmt.Errorf("take the listener: %w", ErrTampered)
		}
		return send(listener)
	})
	r.NoNewPrivs = r.NoNewPrivs || nnp
	r.Partly = r.Partly || !isRefusal(err)
	a.free()
	if err != nil {
		return err
	}
	has, _, err := t.newestIs(f)
	if err == nil && !has {
		err = ErrTampered
	}
	return err
}

// fds opens what descriptors of the thread can be taken by. Without the right to that
// the listener would be lost and the container sealed on the spot, so it is tried first.
func (t *Thread) fds() (pidfd int, err error) {
	if pidfd, err = unix.PidfdOpen(t.Tid, pidfdThread); errors.Is(err, unix.EINVAL) {
		pidfd, err = unix.PidfdOpen(t.Tid, 0)
	}
	if err != nil {
		return 0, fmt.Errorf("open pidfd of thread %d: %w", t.Tid, err)
	}
	// A descriptor that does not exist answers EBADF.
	if fd, err := unix.PidfdGetfd(pidfd, 1<<30, 0); err == nil {
		unix.Close(fd)
	} else if !errors.Is(err, unix.EBADF) {
		unix.Close(pidfd)
		return 0, fmt.Errorf("take a descriptor of thread %d: %w", t.Tid, err)
	}
	return pidfd, nil
}

// listenerLink is what /proc shows of a listener.
const listenerLink = "anon_inode:seccomp notify"

func isListener(fd int) bool {
	link, err := os.Readlink(fmt.Sprintf("/proc/thread-self/fd/%d", fd))
	return err == nil && link == listenerLink
}
