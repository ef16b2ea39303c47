package keeper

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	iocRecv      = 0xc0502100
	iocSend      = 0xc0182101
	iocValid     = 0x40082102
	flagContinue = 1
)

// notification is struct seccomp_notif.
type notification struct {
	ID         uint64
	Tid, Flags uint32
	Nr         int32
	Arch       uint32
	IP         uint64
	Args       [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	ID    uint64
	Val   int64
	Error int32
	Flags uint32
}

// errEnded means that no process has the filter any more.
var errEnded = errors.New("the target has ended")

// listener receives notified calls, in one goroutine at a time, and answers them, in any.
type listener struct {
	fd   int
	wake int // an eventfd: ends receive
}

func newListener(f *os.File) (*listener, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	// Our own copy: a Go file would hide when the last one is closed.
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		unix.Close(wake)
		return nil, fmt.Errorf("copy listener: %w", err)
	}
	return &listener{fd: fd, wake: wake}, nil
}

// receive waits for the next notified call. It answers errEnded when the target
// is gone and os.ErrClosed after interrupt.
func (l *listener) receive(n *notification) error {
	for {
		fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}, {Fd: int32(l.wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return fmt.Errorf("poll listener: %w", err)
		}
		switch {
		case fds[1].Revents != 0:
			return os.ErrClosed
		case fds[0].Revents&unix.POLLIN != 0:
			*n = notification{} // the kernel insists on zeros
			err := ioctl(l.fd, iocRecv, unsafe.Pointer(n))
			if err == nil {
				return nil
			}
			if err != unix.EINTR && err != unix.ENOENT { // the caller was killed meanwhile
				return fmt.Errorf("receive notified call: %w", err)
			}
		case fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0:
			return errEnded
		}
	}
}

// answer lets the call through (errno 0) or fails it. A caller that is gone is no error.
func (l *listener) answer(id uint64, errno int32) error {
	r := response{ID: id, Error: -errno}
	if errno == 0 {
		r.Flags = flagContinue
	}
	err := ioctl(l.fd, iocSend, unsafe.Pointer(&r))
	if err == nil || err == unix.ENOENT {
		return nil
	}
	return fmt.Errorf("answer notified call: %w", err)
}

// valid reports whether a notified call still waits for its answer.
func (l *listener) valid(id uint64) bool { return ioctl(l.fd, iocValid, unsafe.Pointer(&id)) == nil }

// alive says whether any process still has the filter.
func (l *listener) alive() bool {
	fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	return err != nil || fds[0].Revents&unix.POLLHUP == 0
}

// interrupt makes receive return, now and ever after. The listener must not be
// closed before: a descriptor that is polled stays open.
func (l *listener) interrupt() {
	b := [8]byte{0: 1}
	_, _ = unix.Write(l.wake, b[:])
}

// close closes the last copy: from then on notified calls fail with ENOSYS.
func (l *listener) close() {
	unix.Close(l.fd)
	unix.Close(l.wake)
}

func ioctl(fd int, req uintptr, arg unsafe.Pointer) error {
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg))
	if e != 0 {
		return e
	}
	return nil
}
