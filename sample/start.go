package sample

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownAddr is where the server listens in a network of its own.
var ownAddr = netip.MustParseAddrPort("127.0.0.1:8080")

// setupTime bounds what the init does before it waits, and the exec.
const setupTime = 20 * time.Second

// Container is a demo that was started. Its methods may be used concurrently.
type Container struct {
	Pid  int    // the init's on this side; it becomes the server's by its exec
	Addr string // where it will serve, seen from within its network namespace
	// HostNet says that it lives in the host's network, by wish or because a
	// network namespace could not be had.
	HostNet bool

	cmd     *exec.Cmd
	sockets *sockets
	client  *http.Client
	ended   chan struct{} // closed when it was reaped

	mu      sync.Mutex
	control *os.File // to the waiting init; nil once released
}

// order is what the init is told, as its only argument.
type order struct {
	Listen netip.AddrPort
	Pace   time.Duration
	OwnNet bool
}

// Start makes the container: mount, pid, uts, ipc and network namespaces and a
// minimal root. It returns when all is set up and the init waits, in the
// cgroup, before the exec of the server. The container outlives this process
// once released, and ends with it before that. It needs CAP_SYS_ADMIN; where
// only the network namespace is refused, it takes the host's network.
func Start(o Options) (*Container, error) {
	if o.Pace == 0 {
		o.Pace = DefaultPace
	}
	c, err := start(o)
	if err != nil && !o.HostNet {
		o.HostNet = true
		if again, e := start(o); e == nil {
			return again, nil
		}
	}
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w (new namespaces need root, or CAP_SYS_ADMIN)", err)
	}
	return c, err
}

func start(o Options) (_ *Container, err error) {
	c := &Container{HostNet: o.HostNet, ended: make(chan struct{})}
	listen := ownAddr
	var reserved *os.File
	if o.HostNet {
		if reserved, listen, err = reservePort(); err != nil {
			return nil, err
		}
	}
	c.Addr = listen.String()
	if err := c.spawn(o, order{Listen: listen, Pace: o.Pace, OwnNet: !o.HostNet}); err != nil {
		reserved.Close()
		return nil, err
	}
	go func() {
		c.cmd.Wait() // how it ended is read from its ProcessState
		reserved.Close()
		close(c.ended)
	}()
	defer func() {
		if err != nil {
			c.Stop(context.Background())
		}
	}()
	if said, err := c.hear(); said != "ready" {
		return nil, fmt.Errorf("set up the container: %w", cmp.Or(err, errors.New(said)))
	}
	if c.sockets, err = newSockets(c.Pid, o.HostNet); err != nil {
		return nil, err
	}
	c.client = newClient(c.sockets, listen)
	if o.Cgroup != "" {
		procs := filepath.Join(o.Cgroup, "cgroup.procs")
		if err := os.WriteFile(procs, strconv.AppendInt(nil, int64(c.Pid), 10), 0); err != nil {
			return nil, fmt.Errorf("enter cgroup: %w", err)
		}
	}
	return c, nil
}

// spawn starts the init in its namespaces. It gets a session of its own and no
// parent-death signal, so that a closed terminal or a dying parent is nothing
// to it.
func (c *Container) spawn(o Options, what order) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("make control socket: %w", err)
	}
	c.control = os.NewFile(uintptr(pair[0]), "control")
	theirs := os.NewFile(uintptr(pair[1]), "control")
	defer theirs.Close()
	arg, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encode order: %w", err)
	}
	c.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"demo-init", InitWord, string(arg)}, Env: initEnv, Dir: "/",
		ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true,
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC},
	}
	if o.Output != nil {
		c.cmd.Stdout, c.cmd.Stderr = o.Output, o.Output
	}
	if what.OwnNet {
		c.cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNET
	}
	if err := c.cmd.Start(); err != nil {
		c.control.Close()
		return fmt.Errorf("make namespaces: %w", err)
	}
	c.Pid = c.cmd.Process.Pid
	return nil
}

// hear waits for a message of the init; io.EOF is the end of the line, which
// its exec brings about.
func (c *Container) hear() (string, error) {
	if err := c.control.SetReadDeadline(time.Now().Add(setupTime)); err != nil {
		return "", fmt.Errorf("set deadline: %w", err)
	}
	var buf [1024]byte
	n, err := c.control.Read(buf[:])
	if err != nil {
		return "", fmt.Errorf("hear from the init: %w", err)
	}
	return string(buf[:n]), nil
}

// Release lets the init exec the server and returns when it has. The server's
// first call is that execve; what the init does around it, in the cgroup but
// before the exec, is the container runtime's part. It works once.
func (c *Container) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.control == nil {
		return errors.New("release the demo: it was released before")
	}
	defer func() {
		c.control.Close()
		c.control = nil
	}()
	if _, err := c.control.Write([]byte("go")); err != nil {
		return fmt.Errorf("release the demo: %w", err)
	}
	switch said, err := c.hear(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("release the demo: %w", err)
	default:
		return fmt.Errorf("release the demo: %s", said)
	}
}
