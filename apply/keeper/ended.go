package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// ending watches a target's program, to say how it ended. Whoever made it closes it.
type ending struct {
	pid int
	fd  int // its pidfd; -1: it is not known how it ended

	mu     sync.Mutex
	kills  *os.File // where its cgroup counts who was killed for want of memory; nil: nowhere
	killed int      // by the last look
}

// watchEnding begins to watch. Of a program that is gone already nothing is known.
func watchEnding(pid int) *ending {
	e := &ending{pid: pid, fd: -1}
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		e.fd = fd
	}
	if in, err := proc.Cgroups(pid); err == nil {
		e.kills = oomKills(in)
	}
	return e
}

// oomKills opens the file in which the kernel counts the processes of a cgroup that it
// killed for want of memory: memory.oom_control of v1 (Linux 4.13), memory.events of v2.
func oomKills(in proc.Membership) *os.File {
	mounts, err := proc.Mounts()
	if err != nil {
		return nil
	}
	for _, m := range mounts {
		path, name := in.V1["memory"], "memory.oom_control"
		if m.V2 {
			path, name = in.V2, "memory.events"
		} else if !m.Has("memory") {
			continue
		}
		if dir := m.Dir(path); path != "" && dir != "" {
			if f, err := os.Open(filepath.Join(dir, name)); err == nil {
				return f
			}
		}
	}
	return nil
}

// outOfMemory is how many processes of the target were killed for want of memory; 0 when
// that is not known. Once the cgroup is gone it is what it was before.
func (e *ending) outOfMemory() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kills == nil {
		return e.killed
	}
	b := make([]byte, 4096)
	n, _ := e.kills.ReadAt(b, 0) // fails when the cgroup is gone
	for line := range strings.Lines(string(b[:n])) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			e.killed, _ = strconv.Atoi(strings.TrimSpace(count))
		}
	}
	return e.killed
}

// say tells how the program ended.
func (e *ending) say() string {
	out := "the target has ended"
	kills := e.outOfMemory()
	if e.fd >= 0 {
		// Its filter goes a little before it does.
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLIN}}, int(time.Second/time.Millisecond))
		if s, known := exitOf(e.fd, e.pid); known {
			out += ": " + exited(s)
		}
	}
	if kills > 0 {
		out += fmt.Sprintf("; killed for want of memory: %d", kills)
	}
	return out
}

func (e *ending) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fd >= 0 {
		unix.Close(e.fd)
	}
	if e.kills != nil {
		e.kills.Close()
	}
	e.fd, e.kills = -1, nil
}

func exited(s unix.WaitStatus) string {
	if s.Signaled() {
		return "killed by " + unix.SignalName(s.Signal())
	}
	return fmt.Sprintf("status %d", s.ExitStatus())
}
