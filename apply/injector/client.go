package injector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Word is the argument that makes our binary the injector; main dispatches it to Main.
const Word = "_inject"

// PidsFunc lists the processes to work on, as host pids. It is asked again for
// every pass.
type PidsFunc func() ([]int, error)

// client is a running injector process.
type client struct {
	cmd  *exec.Cmd
	conn *net.UnixConn
	pass *net.UnixConn
	enc  *json.Encoder
	dec  *json.Decoder
}

// socketpair makes a connection and the file for the other end.
func socketpair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	far := os.NewFile(uintptr(fds[1]), "far")
	near := os.NewFile(uintptr(fds[0]), "near")
	defer near.Close()
	c, err := net.FileConn(near)
	if err != nil {
		far.Close()
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	return c.(*net.UnixConn), far, nil
}

func start() (*client, error) {
	conn, farConn, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer farConn.Close()
	pass, farPass, err := socketpair()
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer farPass.Close()
	cmd := exec.Command("/proc/self/exe", Word)
	cmd.Args[0] = "speaker"
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{farConn, farPass}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		conn.Close()
		pass.Close()
		return nil, fmt.Errorf("start injector: %w", err)
	}
	return &client{cmd: cmd, conn: conn, pass: pass, enc: json.NewEncoder(conn), dec: json.NewDecoder(conn)}, nil
}

// close ends the process, which finishes what it is at first.
func (c *client) close() {
	c.conn.Close()
	c.pass.Close()
	_ = c.cmd.Wait()
}

// finish answers the process' questions until it is done. When ctx ends, the
// process is told that nobody waits; what it has begun it brings to its end, and
// goes on asking. What it told last is answered with every error, and is Unsure
// unless it was its last word.
func (c *client) finish(ctx context.Context, pids PidsFunc) (message, error) {
	stop := context.AfterFunc(ctx, func() { _, _ = c.conn.Write(stopLine) })
	defer stop()
	var last Report
	var unlisted error
	for {
		var m message
		if err := c.dec.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("it ended before it was done; what it worked on recovers by itself")
			}
			last.Unsure = true
			return message{Report: last}, errors.Join(fmt.Errorf("hear from injector: %w", err), unlisted)
		}
		switch {
		case m.Done && m.Err == "":
			return m, unlisted
		case m.Done && unlisted != nil:
			return m, fmt.Errorf("%w (%s)", unlisted, m.Err)
		case m.Done && ctx.Err() != nil:
			return m, fmt.Errorf("%s: %w", m.Err, context.Cause(ctx))
		case m.Done:
			return m, errors.New(m.Err)
		case m.Ask:
			last = m.Report
			list, err := pids()
			if err != nil {
				// It finishes what it has begun without us, and then tells.
				unlisted = fmt.Errorf("list processes: %w", err)
				_ = c.conn.CloseWrite()
				continue
			}
			_ = c.enc.Encode(request{Processes: identified(list)}) // should it be gone, the next read tells
		}
	}
}

// stopLine is request{Stop: true}. It is written beside the encoder, whole.
var stopLine = []byte(`{"Stop":true}` + "\n")

// Install puts a filter into every process, permanently, until passes over
// them find none without it. What could not be served is in the report, with no
// error; an error means that the work ended early, or that nobody could list the
// processes any more. The report tells what was done, also with an error.
func Install(ctx context.Context, pids PidsFunc, insns []unix.SockFilter) (Report, error) {
	m, err := run(ctx, pids, request{Op: opInstall, Insns: insns})
	return m.Report, err
}

// DumpAll dumps every filter of every thread, each stopped for a moment. What
// could not be looked at is in the dump, with no error.
func DumpAll(ctx context.Context, pids PidsFunc) (Dump, error) {
	m, err := run(ctx, pids, request{Op: opDump})
	return m.Dump, err
}

func run(ctx context.Context, pids PidsFunc, r request) (message, error) {
	c, err := start()
	if err != nil {
		return message{}, err
	}
	defer c.close()
	if err := c.enc.Encode(r); err != nil {
		return message{}, fmt.Errorf("tell injector: %w", err)
	}
	return c.finish(ctx, pids)
}

// Listen waits for the next exec of process pid and puts the filter, with a
// listener, into the program before its first instruction. ready is called once
// the exec cannot be missed any more. The caller closes the listener.
func Listen(ctx context.Context, pid int, insns []unix.SockFilter, ready func()) (*os.File, Report, error) {
	c, err := start()
	if err != nil {
		return nil, Report{}, err
	}
	defer c.close()
	if err := c.enc.Encode(request{Op: opListen, Pid: pid, Insns: insns}); err != nil {
		return nil, Report{}, fmt.Errorf("tell injector: %w", err)
	}
	var m message
	if err := c.dec.Decode(&m); err != nil {
		return nil, Report{}, fmt.Errorf("hear from injector: %w", err)
	}
	if !m.Ready {
		return nil, Report{}, errors.New(m.Err)
	}
	ready()
	m, err = c.finish(ctx, nil)
	if err != nil {
		return nil, m.Report, err
	}
	f, err := receive(c.pass)
	return f, m.Report, err
}
