package keeper

import (
	"fmt"
	"sync"
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

// listener is one listener of a hold.
type listener struct {
	pid    int // of the process that it came from
	source Source

	mu sync.RWMutex // its number may be another file's once it is closed
	fd int          // -1: it is closed
}

// receive takes a notified call, once one is there to be received. That it has gone
// meanwhile is no error.
func (l *listener) receive(n *notification) (heard bool, err error) {
	*n = notification{} // the kernel insists on zeros
	switch err := l.ioctl(iocRecv, unsafe.Pointer(n)); err {
	case nil:
		return true, nil
	case unix.EINTR, unix.ENOENT: // the caller was killed
		return false, nil
	default:
		return false, fmt.Errorf("receive notified call: %w", err)
	}
}

// answer lets the call through (errno 0) or fails it. A caller that is gone is no error.
func (l *listener) answer(id uint64, errno int32) error {
	r := response{ID: id, Error: -errno}
	if errno == 0 {
		r.Flags = flagContinue
	}
	err := l.ioctl(iocSend, unsafe.Pointer(&r))
	if err == nil || err == unix.ENOENT {
		return nil
	}
	return fmt.Errorf("answer notified call: %w", err)
}

// valid reports whether a notified call still waits for its answer.
func (l *listener) valid(id uint64) bool { return l.ioctl(iocValid, unsafe.Pointer(&id)) == nil }

// alive says whether any process still has the filter.
func (l *listener) alive() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	return l.fd >= 0 && (err != nil || fds[0].Revents&unix.POLLHUP == 0)
}

// close closes the last copy: from then on notified calls fail with ENOSYS.
func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd >= 0 {
		unix.Close(l.fd)
	}
	l.fd = -1
}

func (l *listener) ioctl(req uintptr, arg unsafe.Pointer) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(l.fd), req, uintptr(arg))
	if e != 0 {
		return e
	}
	return nil
}
