package injector

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/ptrace"
	"speaker/trace"
	"speaker/trace/proc"
)

// catcher is the state of one opCatch.
type catcher struct {
	w       *worker
	config  Catching
	entries *trace.Entries
	follow  *ptrace.Catcher
	in      map[int]ptrace.Entrant // who is on the way in, by process
	late    atomic.Value           // a Choice
	told    map[int]execed         // programs' execs that the kernel told of, and did not stop at yet
	stopped map[int]bool           // and those that it stopped at, and did not tell of
}

// catch follows who comes into a target, and puts a filter into each program before
// its first instruction, until there is nobody to tell.
func (w *worker) catch(c Catching) error {
	e, err := trace.OpenEntries(c.Entries)
	if err != nil {
		return err
	}
	defer e.Close()
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	k := &catcher{w: w, config: c, entries: e, follow: ptrace.NewCatcher(), in: map[int]ptrace.Entrant{}, told: map[int]execed{}, stopped: map[int]bool{}}
	defer k.follow.Close()
	k.late.Store(c.Late)
	go k.rouse(wake)
	preempt()
	if err := w.enc.Encode(message{Ready: true}); err != nil {
		return errLeft
	}
	var facts []trace.Event
	for !w.left.Load() {
		fds := []unix.PollFd{{Fd: int32(e.FD()), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, k.patience()); err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for who comes in: %w", err)
		}
		if facts = e.Take(facts[:0]); fds[1].Revents != 0 {
			_, _ = unix.Read(wake, make([]byte, 8))
		}
		for _, x := range facts {
			k.fact(x)
		}
		for _, x := range k.follow.Poll() {
			k.met(x)
		}
		k.overdue()
		ptrace.Reap()
	}
	return errLeft
}

// rouse wakes the wait at each report of a tracee, and when there is a request. It takes
// both: what becomes of an entrant is decided when it comes.
func (k *catcher) rouse(wake int) {
	stops := make(chan os.Signal, 1)
	signal.Notify(stops, unix.SIGCHLD)
	one := [8]byte{0: 1}
	for {
		select {
		case <-stops:
		case r, ok := <-k.w.requests:
			if !ok {
				_, _ = unix.Write(wake, one[:])
				return
			}
			k.late.Store(r.Late)
		}
		_, _ = unix.Write(wake, one[:])
	}
}

// fact takes up what the kernel tells of who comes in.
func (k *catcher) fact(x trace.Event) {
	pid := int(x.Pid)
	switch {
	case x.Kind == trace.EventEnter:
		late := x.Args[1] != 0
		k.seize(ptrace.Entrant{Pid: pid, MountNS: x.Args[0], AnyExec: k.config.Entries.SameMountNS, Late: late,
			Refuse: late && k.choice() == Refuse}, x.Time)
	case x.Kind == trace.EventFork && x.Group == trace.Init:
		if e, ok := k.in[pid]; ok {
			e.Pid = int(x.Args[0])
			k.seize(e, x.Time)
		}
	case x.Kind == trace.EventExit, x.Kind == trace.EventLeave:
		delete(k.in, pid)
	case x.Kind == trace.EventExec && x.Group != trace.Init:
		delete(k.in, pid)
		if k.stopped[pid] {
			delete(k.stopped, pid)
			return
		}
		k.told[pid] = execed{late: x.Group == trace.Exec, at: time.Now()}
	}
}

// execed is an exec that the kernel told of, and whose stop was not taken up yet.
type execed struct {
	late bool
	at   time.Time
}

// stopsWithin is how long that may take: the kernel does one right after the other.
const stopsWithin = 50 * time.Millisecond

// patience is how long to wait for anything to happen, in milliseconds.
func (k *catcher) patience() int {
	if len(k.told) > 0 {
		return int(stopsWithin / time.Millisecond)
	}
	return 1000
}

// overdue deals with the execs that were missed: those of whom nobody was seized, or too
// late.
func (k *catcher) overdue() {
	for pid, x := range k.told {
		if k.follow.Follows(pid) && time.Since(x.at) < stopsWithin {
			continue
		}
		delete(k.told, pid)
		k.follow.Release(pid)
		c := Catch{Pid: pid, Late: x.late, Comm: comm(pid), Missed: true, Err: "its exec came first"}
		k.missed(&c)
		k.tell(c)
	}
}

// missed injects a program that has begun, as long as it is one thread: it may have made
// some calls.
func (k *catcher) missed(c *Catch) {
	p, err := ptrace.Identify(c.Pid)
	if err != nil {
		return
	}
	tasks, err := ptrace.Tasks(c.Pid)
	if err == nil && len(tasks) != 1 {
		err = fmt.Errorf("it has %d threads", len(tasks))
	}
	var t *ptrace.Thread
	if err == nil {
		t, err = ptrace.StopTask(p, tasks[0])
	}
	switch {
	case err != nil:
		c.Err += ", and it cannot be injected: " + err.Error()
	case c.Late && k.choice() == Refuse:
		c.Missed, c.Refused, c.Err = false, true, ""
		t.Kill()
	default:
		c.Injected, c.Missed = true, false
		k.filter(c, t)
		c.Injected = !c.Missed
	}
}

// seize follows one that came in at a time. One that the kernel seized as its parent
// made it is followed already.
func (k *catcher) seize(e ptrace.Entrant, at uint64) {
	k.in[e.Pid] = e
	delete(k.stopped, e.Pid)
	delete(k.told, e.Pid)
	err := k.follow.Seize(e)
	switch {
	case errors.Is(err, ptrace.ErrGone):
	case err != nil:
		k.tell(Catch{Pid: e.Pid, Comm: comm(e.Pid), Late: e.Late, Err: err.Error()})
	case beganAfter(e.Pid, at):
		k.follow.Release(e.Pid) // another one, which was given the number since
	}
}

// beganAfter reports whether a process was started after a time of the monotonic clock,
// by more than the kernel's ticks tell.
func beganAfter(pid int, at uint64) bool {
	began, _, ok := proc.Began(pid)
	var boot, mono unix.Timespec
	if !ok || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return false
	}
	const tick = 10_000_000 // ns, in /proc whatever the kernel's own is
	asleep := uint64(boot.Nano() - mono.Nano())
	return began*tick > at+asleep+2*tick
}

// met deals with a program at its exec.
func (k *catcher) met(x ptrace.Caught) {
	c := Catch{Pid: x.Pid, Late: x.Late, Comm: comm(x.Pid)}
	switch {
	case errors.Is(x.Err, ptrace.ErrNoExec):
		c.Err = x.Err.Error()
		k.tell(c)
		return
	case x.Err == nil && x.Thread == nil:
		c.Refused = true
		k.tell(c)
		return
	}
	if _, told := k.told[x.Pid]; told {
		delete(k.told, x.Pid)
	} else {
		k.stopped[x.Pid] = true
	}
	switch {
	case x.Err != nil:
		c.Missed, c.Err = true, x.Err.Error()
	case x.Refuse: // it was seized too late to fail
		c.Refused = true
		k.tell(c) // before its end is seen
		x.Thread.Kill()
		return
	default:
		k.filter(&c, x.Thread)
	}
	k.tell(c)
}

// filter puts the filter of the choice into a program at rest, and lets it go.
func (k *catcher) filter(c *Catch, t *ptrace.Thread) {
	var res ptrace.Result
	var err error
	start := k.config.Start
	if c.Late {
		start = k.config.LateBoot
	}
	if c.Late && k.choice() == Run {
		res, err = t.InstallFilter(k.config.Narrow)
	} else {
		res, err = t.InstallListener(start, func(fd int) error {
			err := send(passFD, fd)
			c.Listener = err == nil
			return err
		})
	}
	c.NoNewPrivs, c.Stopped = res.NoNewPrivs, res.Stopped
	if err != nil {
		c.Missed, c.Err = true, err.Error()
	}
}

func (k *catcher) choice() Choice { return k.late.Load().(Choice) }

func (k *catcher) tell(c Catch) { _ = k.w.enc.Encode(message{Caught: &c}) }

// preempt has this thread go before all others: an exec does not wait for it. Threads
// that it makes do not. Without the right to that it is fast enough, as a rule.
func preempt() {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
}
