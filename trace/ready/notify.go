package ready

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notice waits for a program's word that it is ready: READY=1 by the protocol of
// sd_notify. A command that speaker starts is given a socket for it; of a unit
// systemd knows.
type notice struct{}

func (notice) ask(ctx context.Context, t Target, tell func(Answer)) error {
	found := t.Found()
	switch {
	case t.Socket != nil:
		return t.Socket.listen(ctx, t, tell)
	case found.Engine == "unit":
		return poll(ctx, t, tell, func(ctx context.Context, _ int) (Answer, error) { return unitReady(ctx, found.Name) })
	}
	return fmt.Errorf("%w: only commands that speaker starts, and units of Type=notify, can be heard", ErrUnsupported)
}

// Socket is what a program notifies by. It is an abstract one: whoever the program
// becomes can write to it, as long as it stays in our network namespace.
type Socket struct {
	conn *net.UnixConn
	// Env is the variable to start the program with.
	Env string
}

// NewSocket makes a socket. The caller closes it.
func NewSocket() (*Socket, error) {
	name := "@speaker-notify-" + rand.Text()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("make a socket for notices: %w", err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		c.Close()
		return nil, err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	if err = errors.Join(err, set); err != nil {
		c.Close()
		return nil, fmt.Errorf("make a socket for notices: %w", err)
	}
	return &Socket{conn: c, Env: "NOTIFY_SOCKET=" + name}, nil
}

// Close ends a listening. A nil socket has none.
func (s *Socket) Close() error {
	if s == nil {
		return nil
	}
	return s.conn.Close()
}

// maxNotice bounds a notice: it is a few lines.
const maxNotice = 4096

// listen tells of every READY=1 of a process of the target's, up to ten.
func (s *Socket) listen(ctx context.Context, t Target, tell func(Answer)) error {
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("listen for notices: %w", err)
	}
	defer context.AfterFunc(ctx, func() { s.conn.SetReadDeadline(time.Now()) })()
	text, control := make([]byte, maxNotice), make([]byte, 1024)
	told, foreign := 0, 0
	for told < maxTold {
		n, c, _, _, err := s.conn.ReadMsgUnix(text, control)
		if err != nil {
			break
		}
		at := time.Now()
		pid, done := sender(control[:c])
		switch {
		case !saysReady(string(text[:n])):
		case !t.Owns(pid):
			foreign++
		default:
			told++
			tell(Answer{At: at, Said: "says READY=1"})
		}
		done() // who waits for it to be read goes on now
	}
	switch {
	case told > 0:
		return nil
	case foreign > 0:
		return errors.New("READY=1 came, but from a process that is not the target's")
	}
	return errors.New("no READY=1 came")
}

func saysReady(text string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimRight(l, "\n") == "READY=1" {
			return true
		}
	}
	return false
}

// sender finds who sent a message. Descriptors that came with it (of a barrier, or
// of what a program wants kept) are closed by done.
func sender(control []byte) (pid int, done func()) {
	var fds []int
	list, _ := unix.ParseSocketControlMessage(control) // a broken one is of nobody
	for _, m := range list {
		if got, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
		if u, err := unix.ParseUnixCredentials(&m); err == nil {
			pid = int(u.Pid)
		}
	}
	return pid, func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// unitReady asks systemd whether a unit has said that it is ready: then it is
// active, if its type is one that says so.
func unitReady(ctx context.Context, unit string) (Answer, error) {
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=Type,ActiveState,SubState", "--", unit).Output()
	if err != nil {
		return Answer{}, fmt.Errorf("ask systemctl of %s: %w", unit, err)
	}
	is := map[string]string{}
	for l := range strings.Lines(string(out[:min(len(out), maxNotice)])) {
		k, v, _ := strings.Cut(strings.TrimSpace(l), "=")
		is[k] = v
	}
	switch {
	case !strings.HasPrefix(is["Type"], "notify"):
		return Answer{}, fmt.Errorf("%w: the unit is of Type=%s, which does not say when it is ready", ErrUnsupported, is["Type"])
	case is["ActiveState"] != "active":
		return Answer{}, fmt.Errorf("the unit is %s (%s)", is["ActiveState"], is["SubState"])
	}
	return Answer{At: time.Now(), Said: "says READY=1: the unit is active"}, nil
}
