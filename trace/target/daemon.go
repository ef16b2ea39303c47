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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// dialError keeps why an engine was not reached. The clients' own errors drop
// the cause when they recognise it, so it does not unwrap to one they know.
type dialError struct{ cause error }

func (e *dialError) Error() string { return "engine not reached" }

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

// daemonError says in one line what to do about an error of a client.
type daemonError struct {
	text  string
	cause error
}

func (e *daemonError) Error() string { return e.text }
func (e *daemonError) Unwrap() error { return e.cause }

// place is where an engine is asked, in the words of its errors.
type place struct {
	engine    string // "docker"
	what      string // what answers there: "docker daemon"
	at        string // the address
	elsewhere string // how another address is given
	group     string // whose members may ask, besides root; "": nobody
}

// explain turns a client's error into one line that says what to do.
func (p place) explain(ctx context.Context, err error) error {
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
	return &daemonError{text: p.advice(cause, dial != nil), cause: cause}
}

func (p place) advice(cause error, notReached bool) string {
	switch {
	case errors.Is(cause, context.Canceled):
		return p.engine + " was not waited for: canceled"
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Sprintf("%s at %s does not answer in time", p.engine, p.at)
	case errors.Is(cause, fs.ErrPermission) && p.group != "":
		return fmt.Sprintf("%s at %s may not be used by this user: run as root, or as a member of its group (%s)", p.engine, p.at, p.group)
	case errors.Is(cause, fs.ErrPermission):
		return fmt.Sprintf("%s at %s may not be used by this user: run as root", p.engine, p.at)
	case errors.Is(cause, fs.ErrNotExist):
		return fmt.Sprintf("no %s answers at %s (there is no such socket): is it installed and running? %s", p.what, p.at, p.elsewhere)
	case notReached:
		var no syscall.Errno
		if errors.As(cause, &no) {
			cause = no
		}
		return fmt.Sprintf("no %s answers at %s (%s): is it running? %s", p.what, p.at, oneLine(cause), p.elsewhere)
	case errors.Is(cause, errTooLong), status.Code(cause) == codes.ResourceExhausted:
		return fmt.Sprintf("%s at %s answers more than %d MiB: that is no list of containers", p.engine, p.at, maxAnswer>>20)
	case client.IsErrConnectionFailed(cause), status.Code(cause) == codes.Unavailable:
		return fmt.Sprintf("what answers at %s does not speak as a %s does (%s)", p.at, p.what, oneLine(cause))
	}
	return p.engine + ": " + oneLine(cause)
}

// oneLine makes one bounded line of an error whose text a daemon may have sent.
func oneLine(err error) string {
	text := err.Error()
	if st, ok := status.FromError(err); ok {
		text = st.Message()
	}
	s := strings.TrimPrefix(strings.Join(strings.Fields(text), " "), "Error response from daemon: ")
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
	return unknown(d.place.engine, name, list, nil, 1)
}

// someNames are the names of the first ten.
func someNames(list []Target) string {
	var names []string
	for _, t := range list {
		if len(names) == 10 {
			names = append(names, fmt.Sprintf("… (%d in all)", len(list)))
			break
		}
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}
