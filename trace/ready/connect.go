package ready

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tcp asks whether a connection is accepted.
type tcp []netip.AddrPort

func (p tcp) ask(ctx context.Context, t Target, tell func(Answer)) error {
	return poll(ctx, t, tell, p.connect)
}

func (p tcp) connect(ctx context.Context, pid int) (Answer, error) {
	c, err := dial(ctx, pid, p)
	if err != nil {
		return Answer{}, err
	}
	c.Close()
	return Answer{At: time.Now(), Said: "answers"}, nil
}

// web asks for a page. As with Kubernetes' probes a status from 200 to 399 will do,
// redirections are not followed, and certificates are not checked: what is to be
// known is whether it serves.
type web struct {
	url string
	to  []netip.AddrPort
}

// maxHeader bounds what a target may answer; its body is not read.
const maxHeader = 64 << 10

func (p web) ask(ctx context.Context, t Target, tell func(Answer)) error {
	return poll(ctx, t, tell, p.get)
}

func (p web) get(ctx context.Context, pid int) (Answer, error) {
	c := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, pid, p.to) },
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: true},
			MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("User-Agent", "speaker")
	r, err := c.Do(req)
	if err != nil {
		return Answer{}, cause(err)
	}
	r.Body.Close()
	if r.StatusCode < 200 || r.StatusCode > 399 {
		return Answer{}, fmt.Errorf("it answered %d", r.StatusCode)
	}
	return Answer{At: time.Now(), Said: fmt.Sprintf("answers %d", r.StatusCode)}, nil
}

// cause is an error without the request that it wraps, and without what the target
// wrote.
func cause(err error) error {
	var op *net.OpError
	var no unix.Errno
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case unsupported(err):
		return err
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return errors.New("it did not answer in time")
	case errors.As(err, &no):
		return no
	case errors.As(err, &op):
		return op.Err
	}
	if strings.Contains(err.Error(), "EOF") {
		return errors.New("it closed the connection")
	}
	return errors.New("what it answered is no HTTP")
}

// dial connects to the first of some places that accepts, as seen from a process.
func dial(ctx context.Context, pid int, to []netip.AddrPort) (net.Conn, error) {
	var first error
	for _, place := range to {
		c, err := connect(ctx, pid, place)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// connect connects to a place in the network namespace of a process. A socket
// stays in the namespace that it was made in.
func connect(ctx context.Context, pid int, to netip.AddrPort) (net.Conn, error) {
	family, addr := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(to.Port())})
	if a := to.Addr(); a.Is4() {
		addr.(*unix.SockaddrInet4).Addr = a.As4()
	} else {
		family, addr = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: a.As16()}
	}
	fd, err := socketIn(pid, family)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "probe")
	defer f.Close()
	err = unix.Connect(fd, addr)
	if errors.Is(err, unix.EINPROGRESS) {
		err = connected(ctx, fd)
	}
	if err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// connected waits for a connection to be made or refused.
func connected(ctx context.Context, fd int) error {
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100)
		if n == 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		no, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && no != 0 {
			err = unix.Errno(no)
		}
		return err
	}
	return unix.ETIMEDOUT
}

// socketIn makes a socket in the network namespace of a process. If that is not
// ours it takes CAP_SYS_ADMIN, there and here.
func socketIn(pid, family int) (int, error) {
	fresh := func() (int, error) {
		return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	}
	theirs, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return -1, fmt.Errorf("find the network of process %d: %w", pid, errnoOf(err))
	}
	defer theirs.Close()
	ours, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return -1, fmt.Errorf("find our own network: %w", errnoOf(err))
	}
	defer ours.Close()
	a, err := theirs.Stat()
	if err != nil {
		return -1, err
	}
	b, err := ours.Stat()
	if err != nil {
		return -1, err
	}
	if os.SameFile(a, b) {
		return fresh()
	}
	runtime.LockOSThread()
	if err := unix.Setns(int(theirs.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return -1, fmt.Errorf("%w: to enter the network of process %d: %w (it takes CAP_SYS_ADMIN)", ErrUnsupported, pid, err)
	}
	fd, err := fresh()
	// A thread that cannot go back stays locked, and ends with its goroutine.
	if unix.Setns(int(ours.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return fd, err
}

// errnoOf is an error without the path that it was met at.
func errnoOf(err error) error {
	var no unix.Errno
	if errors.As(err, &no) {
		return no
	}
	return err
}

func unsupported(err error) bool { return errors.Is(err, ErrUnsupported) }
