package keeper

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"speaker/apply/injector"
)

// errEnded means that no process has a filter of ours any more.
var errEnded = errors.New("the target has ended")

// Source says how the processes that a listener hears came to their filter. It goes
// over to all that they start.
type Source string

// The sources.
const (
	FromStart  Source = "start"  // the program, at its start
	FromInject Source = "inject" // a process that ran already
	FromLate   Source = "late"   // one that came into the target from outside
)

// ears are the listeners of a hold: one for each process that was given the filter by
// itself, as a filter has one listener at most, and one process cannot give its filter to
// another. Listeners come at any time, and go when nobody has their filter any more.
//
// Receive is for one goroutine, which alone drops listeners. All else may be called in any.
type ears struct {
	poll, wake int // epoll, and an eventfd that makes receive look around

	mu       sync.Mutex
	all      map[int32]*listener // by descriptor
	awaited  int                 // see await
	released bool
	failed   error // why the last one that failed was dropped
}

func newEars() (*ears, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(poll)
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	e := &ears{poll: poll, wake: wake, all: map[int32]*listener{}}
	if err := e.watch(wake); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *ears) watch(fd int) error {
	if err := unix.EpollCtl(e.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("watch listener: %w", err)
	}
	return nil
}

// add takes a copy of a listener, which f is; notified calls are received from it from
// now on. pid is the process that it came from.
func (e *ears) add(f *os.File, pid int, s Source) error {
	// Our own copy: a Go file would hide when the last one is closed.
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("copy listener: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.released {
		unix.Close(fd)
		return os.ErrClosed
	}
	e.all[int32(fd)] = &listener{fd: fd, pid: pid, source: s}
	if err := e.watch(fd); err != nil {
		delete(e.all, int32(fd))
		unix.Close(fd)
		return err
	}
	return nil
}

// taker is add for listeners of one source.
func (e *ears) taker(s Source) injector.Take {
	return func(f *os.File, pid int) error { return e.add(f, pid, s) }
}

// await keeps receive from ending for want of listeners until done is called: some may
// still come.
func (e *ears) await() (done func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.awaited++
	return sync.OnceFunc(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.awaited--
		e.ring()
	})
}

// receive waits for the next notified call, of any listener. It answers errEnded when
// there is none left, or why the last one failed, and os.ErrClosed after interrupt.
func (e *ears) receive(n *notification) (*listener, error) {
	events := make([]unix.EpollEvent, 1) // the next one is another's: epoll goes round
	for {
		if err := e.over(); err != nil {
			return nil, err
		}
		got, err := unix.EpollWait(e.poll, events, -1)
		if err != nil && err != unix.EINTR {
			return nil, fmt.Errorf("poll listeners: %w", err)
		}
		if err != nil || got == 0 {
			continue
		}
		l := e.of(events[0].Fd)
		switch {
		case l == nil:
			_, _ = unix.Read(e.wake, make([]byte, 8))
		case events[0].Events&unix.EPOLLIN != 0:
			heard, err := l.receive(n)
			if heard {
				return l, nil
			}
			if err != nil {
				e.drop(l, err)
			}
		default:
			e.drop(l, nil)
		}
	}
}

// over says why there is nothing to receive any more.
func (e *ears) over() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.released:
		return os.ErrClosed
	case len(e.all)+e.awaited == 0:
		return cmp.Or(e.failed, errEnded)
	}
	return nil
}

func (e *ears) of(fd int32) *listener {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[fd]
}

// drop closes one. Calls of it that wait for an answer, if any process still makes them,
// fail with ENOSYS.
func (e *ears) drop(l *listener, failed error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.all, int32(l.fd))
	e.failed = cmp.Or(failed, e.failed)
	l.close()
}

// alive says whether any process still has a filter of ours, or may yet get one.
func (e *ears) alive() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.all {
		if l.alive() {
			return true
		}
	}
	return e.awaited > 0
}

// count is the number of listeners.
func (e *ears) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.all)
}

// interrupt makes receive return, now and ever after. The ears must not be closed
// before: a descriptor that is polled stays open.
func (e *ears) interrupt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.released = true
	e.ring()
}

func (e *ears) ring() {
	b := [8]byte{0: 1}
	_, _ = unix.Write(e.wake, b[:])
}

// close closes the last copy of every listener: from then on notified calls fail with
// ENOSYS.
func (e *ears) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.released = true
	for _, l := range e.all {
		l.close()
	}
	clear(e.all)
	unix.Close(e.poll)
	unix.Close(e.wake)
}
