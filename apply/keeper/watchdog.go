package keeper

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// What the watchdog undoes a denial for. A program that calls on at StormRate does
// nothing else any more (nginx came to 19,000 a second); one that dies within
// DyingTime of the crossing most likely dies of it.
const (
	StormRate = 500 // denials of one call in one process within a second
	DyingTime = 10 * time.Second
)

// maxWatched bounds the processes whose end is watched at a time.
const maxWatched = 512

// lookAround is how often the watchdog looks for new processes.
const lookAround = 50 * time.Millisecond

// counter is a CallCount with the denials of its present second.
type counter struct {
	CallCount
	second time.Time
	denied int
}

// storms counts a denial and reports whether they come too fast.
func (c *counter) storms() bool {
	if c.Last.Sub(c.second) >= time.Second {
		c.second, c.denied = c.Last, 0
	}
	c.denied++
	return c.denied >= StormRate
}

func (c *counter) storm() string {
	return fmt.Sprintf("denial storm: %s was denied to process %d (%s) %d times within a second", c.What(), c.Pid, c.Comm, StormRate)
}

// guard switches the watchdog. While it is off, nothing but the time undoes.
func (h *hold) guard(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchdog = on
	h.log.note(h.mode, map[bool]string{true: "watchdog on", false: "watchdog off"}[on])
}

// denies reports whether removed calls fail in the mode, at least when nobody answers.
func (m Mode) denies() bool { return m == Deny || m == Ask || m == Sealed }

// bark undoes a denial, if the watchdog is on and the denial is still that one.
func (h *hold) bark(crossed time.Time, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchdog && h.mode.denies() && h.since.Equal(crossed) {
		h.enter(Allow, why)
	}
}

// stands reports whether the denial is still that one.
func (h *hold) stands(crossed time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mode.denies() && h.since.Equal(crossed)
}

// deaths watches the processes of a target for their end, for DyingTime after a
// crossing. It holds a pidfd of each; those are its own.
type deaths struct {
	crossed time.Time
	mu      sync.Mutex
	over    bool
	done    chan struct{} // closed when nothing is watched any more
	procs   map[int]*watched
	ends    *ends // of processes; nil where the kernel remembers
}

type watched struct {
	fd     int
	comm   string
	line   []int  // its own number, and those of its parent and theirs
	denied string // the call that was denied to it last
}

// watchDeaths begins to watch. Locked by the caller.
func (h *hold) watchDeaths() {
	d := &deaths{crossed: h.since, done: make(chan struct{}), procs: map[int]*watched{}, ends: hearEnds()}
	h.dying = d
	d.add(h.config.Pid, "") // at once: who dies of it may do so before the first look
	go d.run(h)
}

func (d *deaths) run(h *hold) {
	defer d.close()
	ended, before := false, h.ending.outOfMemory()
	for end := d.crossed.Add(DyingTime); !ended && time.Now().Before(end); {
		select {
		case <-h.done:
			ended = true // one more look: how did it end?
		default:
		}
		for _, pid := range (record{Pid: h.config.Pid, Cgroup: h.config.Cgroup}).pids(maxWatched) {
			d.add(pid, "")
		}
		for _, why := range d.wait(h.late) {
			if kills := h.ending.outOfMemory(); kills > before {
				why += " for want of memory"
				before = kills
			}
			h.bark(d.crossed, fmt.Sprintf("%s, %s after the crossing", why, time.Since(d.crossed).Round(10*time.Millisecond)))
		}
		if !h.stands(d.crossed) {
			return
		}
	}
}

// settle waits until what is known of the end of a target is told.
func (h *hold) settle() {
	h.mu.Lock()
	d := h.dying
	h.mu.Unlock()
	if d == nil {
		return
	}
	select {
	case <-d.done:
	case <-time.After(20 * lookAround):
	}
}

// Line is a process with its parent, and theirs, as far as it matters.
func Line(pid int) (line []int) {
	for ok := true; ok && pid > 1 && len(line) < 16; {
		line = append(line, pid)
		_, pid, ok = proc.Began(pid)
	}
	return line
}

// add watches a process; denied is a call that is being denied to it.
func (d *deaths) add(pid int, denied string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	w := d.procs[pid]
	if w == nil {
		if len(d.procs) >= maxWatched {
			return
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return
		}
		w = &watched{fd: fd, comm: ownerOf(uint32(pid)).comm, line: Line(pid)}
		d.procs[pid] = w
	}
	if denied != "" {
		w.denied = denied
	}
}

// wait waits a little for processes to end, and says which of their ends tell
// against the crossing. What came in later is not what was crossed.
func (d *deaths) wait(late *late) (whys []string) {
	d.mu.Lock()
	var fds []unix.PollFd
	var pids []int
	for pid, w := range d.procs {
		fds, pids = append(fds, unix.PollFd{Fd: int32(w.fd), Events: unix.POLLIN}), append(pids, pid)
	}
	d.mu.Unlock()
	_, err := unix.Poll(fds, int(lookAround/time.Millisecond))
	for err == unix.EINTR { // a signal of the runtime's own
		_, err = unix.Poll(fds, int(lookAround/time.Millisecond))
	}
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ours := func(pid int) bool { return d.procs[pid] != nil }
	d.ends.take(ours)
	for i, f := range fds {
		if f.Revents == 0 {
			continue
		}
		w := d.procs[pids[i]]
		status, known := exitOf(w.fd, pids[i])
		if !known {
			status, known = d.ends.of(pids[i], ours)
		}
		if why := w.died(status, known); why != "" && (late == nil || !late.brought(w.line)) {
			whys = append(whys, fmt.Sprintf("process %d (%s) %s", pids[i], w.comm, why))
		}
		unix.Close(w.fd)
		delete(d.procs, pids[i])
	}
	return whys
}

func (d *deaths) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	defer close(d.done)
	for _, w := range d.procs {
		unix.Close(w.fd)
	}
	clear(d.procs)
	d.ends.close()
}

// died says how a process ended, if that tells against the crossing: by a signal
// that nobody sends to ask for an end, or badly, or in a way that is not known,
// after a call was denied to it.
func (w *watched) died(s unix.WaitStatus, known bool) string {
	switch {
	case known && s.Signaled():
		switch s.Signal() {
		case unix.SIGTERM, unix.SIGINT, unix.SIGHUP:
			return ""
		}
		return "was killed by " + unix.SignalName(s.Signal())
	case w.denied == "":
	case !known:
		return "ended after it was denied " + w.denied
	case s.ExitStatus() > 0:
		return fmt.Sprintf("ended with status %d after it was denied %s", s.ExitStatus(), w.denied)
	}
	return ""
}

// exitOf is how a process that has ended did: as the kernel remembers it (6.15 and
// later), or its zombie.
func exitOf(fd, pid int) (unix.WaitStatus, bool) {
	if s, known := remembered(fd); known {
		return s, true
	}
	if s, known := zombie(pid); known {
		return s, true
	}
	return remembered(fd) // its parent took it away between the two
}

// remembered is how a process ended that its parent has waited for.
func remembered(fd int) (unix.WaitStatus, bool) {
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if unix.IoctlPidfdInfo(fd, &info) == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
		return unix.WaitStatus(info.Exit_code), true
	}
	return 0, false
}

// zombie is how one ended that its parent has not waited for.
func zombie(pid int) (unix.WaitStatus, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " Z ")
	if err != nil || !ok {
		return 0, false
	}
	f := strings.Fields(rest)
	code, err := strconv.Atoi(f[len(f)-1]) // exit_code is the last
	return unix.WaitStatus(code), err == nil && len(f) > 40
}
