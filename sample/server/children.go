package server

import (
	"cmp"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// children starts the master's child processes and reaps them. As the first
// process of its container the master also inherits orphans, so it reaps
// whatever ended, and tells the one who waits for it.
type children struct {
	mu      sync.Mutex
	waiting map[int]chan exit
}

// exit is how a child ended; err says that its end cannot be learned.
type exit struct {
	status unix.WaitStatus
	err    error
}

// start runs a program with the given descriptors as its 0, 1, 2, 3 and so on.
// The channel receives one exit. The lock is held over the fork, so that reap
// cannot meet a child that nobody waits for yet.
func (c *children) start(path string, argv []string, fds []uintptr) (int, <-chan exit, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: os.Environ(), Files: fds})
	if err != nil {
		return 0, nil, tried("clone or execve", path, err)
	}
	done := make(chan exit, 1)
	if c.waiting == nil {
		c.waiting = map[int]chan exit{}
	}
	c.waiting[pid] = done
	return pid, done, nil
}

// reapAlways reaps at every SIGCHLD, on a goroutine of its own: whoever waits
// for a child may hold the master's lock.
func (c *children) reapAlways() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for range ended {
		c.reap()
	}
}

// reap takes in all children that have ended.
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil && err != unix.ECHILD:
			for pid, done := range c.waiting {
				done <- exit{err: tried("wait4", "child processes", err)}
				delete(c.waiting, pid)
			}
			return
		case err != nil || pid == 0:
			return
		default:
			if done := c.waiting[pid]; done != nil {
				done <- exit{status: status}
				delete(c.waiting, pid)
			}
		}
	}
}

// run runs a helper program to its end, at most for ten seconds. The helper
// writes to the same output, and why it failed to reasonFD.
func (c *children) run(path string, argv ...string) error {
	var reason [2]int
	if err := unix.Pipe2(reason[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return tried("pipe2", argv[0], err)
	}
	defer unix.Close(reason[0])
	pid, done, err := c.start(path, argv, []uintptr{0, 1, 2, uintptr(reason[1])})
	unix.Close(reason[1])
	if err != nil {
		return err
	}
	select {
	case e := <-done:
		if e.err != nil || e.status == 0 {
			return e.err
		}
		var buf [400]byte
		n, _ := unix.Read(reason[0], buf[:])
		return fmt.Errorf("%s: %s", argv[0], cmp.Or(string(buf[:max(n, 0)]), inWords(e.status)))
	case <-time.After(10 * time.Second):
		unix.Kill(pid, unix.SIGKILL)
		return fmt.Errorf("%s did not end within 10 s", argv[0])
	}
}

func inWords(s unix.WaitStatus) string {
	if s.Signaled() {
		return "ended by signal " + unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("ended with status %d", s.ExitStatus())
}
