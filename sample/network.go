package sample

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// The server listens on a TCP port of its own network namespace's loopback, and
// not on a unix socket in a shared directory: an inet socket is what real
// servers listen on, what the evidence for a split is drawn from, and it needs
// nothing that both sides can write to. A socket belongs for ever to the
// namespace that its thread was in when it was made, so one thread that stays
// there is enough to reach the server from outside.

// sockets makes sockets in the container's network namespace.
type sockets struct {
	ask  chan chan<- made // nil in the host's network
	once sync.Once
	done chan struct{}
}

type made struct {
	fd  int
	err error
}

// newSockets needs CAP_SYS_ADMIN unless hostNet. The caller closes it.
func newSockets(pid int, hostNet bool) (*sockets, error) {
	s := &sockets{done: make(chan struct{})}
	if hostNet {
		return s, nil
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	s.ask = make(chan chan<- made)
	entered := make(chan error)
	go s.serve(ns, entered)
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("enter network namespace: %w", err)
	}
	return s, nil
}

// serve holds a thread in the namespace. The thread ends with the goroutine,
// since it is never unlocked.
func (s *sockets) serve(ns *os.File, entered chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The main thread stays out: it is what /proc/self shows to others.
		// While it is held here, another goroutine gets another thread.
		again := make(chan error)
		go s.serve(ns, again)
		entered <- <-again
		runtime.UnlockOSThread()
		return
	}
	err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
	ns.Close()
	entered <- err
	if err != nil {
		return
	}
	for {
		select {
		case reply := <-s.ask:
			fd, err := newSocket()
			reply <- made{fd, err}
		case <-s.done:
			return
		}
	}
}

func newSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make socket: %w", err)
	}
	return fd, nil
}

var errClosed = errors.New("the demo was stopped")

func (s *sockets) make() (int, error) {
	if s.ask == nil {
		return newSocket()
	}
	reply := make(chan made, 1)
	select {
	case s.ask <- reply:
		m := <-reply
		return m.fd, m.err
	case <-s.done:
		return -1, errClosed
	}
}

func (s *sockets) close() { s.once.Do(func() { close(s.done) }) }

// dial connects to the server. The kernel bounds the connect, by the time that
// the socket may take to send.
func (s *sockets) dial(_ context.Context, to netip.AddrPort) (net.Conn, error) {
	fd, err := s.make()
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close() // FileConn duplicates it
	limit := unix.NsecToTimeval(int64(requestTime))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err != nil {
		return nil, fmt.Errorf("limit connect: %w", err)
	}
	addr := &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	err = unix.Connect(fd, addr)
	for err == unix.EINTR { // with a limit on its time it is not restarted; it goes on, and is waited for again
		err = unix.Connect(fd, addr)
	}
	switch err {
	case nil, unix.EISCONN:
	case unix.ECONNREFUSED:
		return nil, ErrNotServing
	default:
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use connection: %w", err)
	}
	return conn, nil
}

// reservePort finds a free port of the host's loopback and keeps it from being
// given to others: a socket that may share its address, and does not listen,
// stands in nobody's way who asks for that very port in the same manner. The
// caller closes the file.
func reservePort() (*os.File, netip.AddrPort, error) {
	fd, err := newSocket()
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	f := os.NewFile(uintptr(fd), "reserved port")
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	var sa unix.Sockaddr
	if err == nil {
		sa, err = unix.Getsockname(fd)
	}
	in, ok := sa.(*unix.SockaddrInet4)
	if err != nil || !ok {
		f.Close()
		return nil, netip.AddrPort{}, fmt.Errorf("reserve a port: %w", err)
	}
	return f, netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)), nil
}

// raiseLoopback brings up lo, which a new network namespace has down.
func raiseLoopback() error {
	fd, err := newSocket()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("name loopback: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return fmt.Errorf("read loopback's flags: %w", err)
	}
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	return nil
}
