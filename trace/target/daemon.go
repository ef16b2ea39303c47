package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/moby/moby/client"
)

// dialError keeps why the daemon was not reached. The client's own errors drop
// the cause when they recognise it, so it does not unwrap to one they know.
type dialError struct{ cause error }

func (e *dialError) Error() string { return "docker daemon not reached" }

// dialer connects to the daemon.
func dialer(network, address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &dialError{cause: err}
		}
		return &boundedConn{Conn: c}, nil
	}
}

// maxAnswer bounds the bytes of one answer: a daemon must not fill our memory.
const maxAnswer = 64 << 20

// boundedConn ends a connection whose answer to a request is too long.
type boundedConn struct {
	net.Conn
	got atomic.Int64 // since the last request
}

var errTooLong = errors.New("the answer is too long")

func (c *boundedConn) Write(b []byte) (int, error) {
	c.got.Store(0)
	return c.Conn.Write(b)
}

func (c *boundedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.got.Add(int64(n)) > maxAnswer {
		return 0, errTooLong
	}
	return n, err
}

// daemonError says in one line what to do about an error of the client.
type daemonError struct {
	text  string
	cause error
}

func (e *daemonError) Error() string { return e.text }
func (e *daemonError) Unwrap() error { return e.cause }

// explain turns the client's errors into one line that says what to do.
func (d *Docker) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	cause := err
	dial := (*dialError)(nil)
	if errors.As(err, &dial) {
		cause = dial.cause
	}
	if ctx.Err() != nil {
		cause = ctx.Err()
	}
	return &daemonError{text: d.advice(cause, dial != nil), cause: cause}
}

func (d *Docker) advice(cause error, notReached bool) string {
	const elsewhere = "another address: --docker-host or DOCKER_HOST"
	switch {
	case errors.Is(cause, context.Canceled):
		return "docker was not waited for: canceled"
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Sprintf("docker at %s does not answer in time", d.host)
	case errors.Is(cause, fs.ErrPermission):
		return fmt.Sprintf("docker at %s may not be used by this user: run as root, or as a member of its group (docker)", d.host)
	case errors.Is(cause, fs.ErrNotExist):
		return fmt.Sprintf("no docker daemon answers at %s (there is no such socket): is it installed and running? %s", d.host, elsewhere)
	case notReached:
		var no syscall.Errno
		if errors.As(cause, &no) {
			cause = no
		}
		return fmt.Sprintf("no docker daemon answers at %s (%s): is it running? %s", d.host, oneLine(cause), elsewhere)
	case errors.Is(cause, errTooLong):
		return fmt.Sprintf("docker at %s answers more than %d MiB: that is no list of containers", d.host, maxAnswer>>20)
	case client.IsErrConnectionFailed(cause):
		return fmt.Sprintf("what answers at %s does not speak as a docker daemon does (%s)", d.host, oneLine(cause))
	}
	return "docker: " + oneLine(cause)
}

// oneLine makes one bounded line of an error whose text a daemon may have sent.
func oneLine(err error) string {
	s := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "Error response from daemon: ")
	const most = 300
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}

// unknown says that there is no such container, and which there are.
func (d *Docker) unknown(ctx context.Context, name string) error {
	list, err := d.List(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("no container %q: docker has none", cut(name))
	}
	var names []string
	for _, t := range list {
		if len(names) == 10 {
			names = append(names, fmt.Sprintf("… (%d in all)", len(list)))
			break
		}
		names = append(names, t.Name)
	}
	return fmt.Errorf("no container %q: there is %s", cut(name), strings.Join(names, ", "))
}
