package injector

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"speaker/apply/ptrace"
	"speaker/trace"
)

// catcher is the state of one opCatch.
type catcher struct {
	w       *worker
	config  Catching
	entries *trace.Entries
	follow  *ptrace.Catcher
	in      map[int]ptrace.Entrant // who is on the way in, by process
	late    atomic.Value           // a Choice
	half    map[int]bool           // execs that one of two has told of: the kernel's programs, and the stop
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
	k := &catcher{w: w, config: c, entries: e, follow: ptrace.NewCatcher(), in: map[int]ptrace.Entrant{}, half: map[int]bool{}}
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
		if _, err := unix.Poll(fds, 1000); err != nil && err != unix.EINTR {
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
		delete(k.half, pid)
		k.seize(ptrace.Entrant{Pid: pid, MountNS: x.Args[0], AnyExec: k.config.Entries.SameMountNS, Late: late,
			Refuse: late && k.choice() == Refuse})
	case x.Kind == trace.EventFork && x.Group == trace.Init:
		if e, ok := k.in[pid]; ok {
			e.Pid = int(x.Args[0])
			delete(k.half, e.Pid)
			k.seize(e)
		}
	case x.Kind == trace.EventExit, x.Kind == trace.EventLeave:
		delete(k.in, pid)
	case x.Kind == trace.EventExec && x.Group != trace.Init:
		delete(k.in, pid)
		// Whoever is followed stops at its exec, which may not be taken up yet.
		if k.half[pid] || k.follow.Follows(pid) {
			k.agree(pid)
			return
		}
		k.tell(Catch{Pid: pid, Comm: comm(pid), Late: x.Group == trace.Exec, Missed: true, Err: "its exec came first"})
	}
}

// seize follows one that comes in. One that the kernel seized as its parent made it is
// followed already.
func (k *catcher) seize(e ptrace.Entrant) {
	k.in[e.Pid] = e
	if err := k.follow.Seize(e); err != nil && !errors.Is(err, ptrace.ErrGone) {
		k.tell(Catch{Pid: e.Pid, Comm: comm(e.Pid), Late: e.Late, Err: err.Error()})
	}
}

// agree notes that one of two has told of an exec.
func (k *catcher) agree(pid int) {
	if k.half[pid] {
		delete(k.half, pid)
	} else {
		k.half[pid] = true
	}
}

// met deals with a program at its exec.
func (k *catcher) met(x ptrace.Caught) {
	c := Catch{Pid: x.Pid, Late: x.Late, Comm: comm(x.Pid)}
	switch {
	case errors.Is(x.Err, ptrace.ErrNoExec):
		c.Err = x.Err.Error()
	case x.Err != nil:
		k.agree(x.Pid)
		c.Missed, c.Err = true, x.Err.Error()
	case x.Thread != nil && x.Refuse: // it was seized too late to fail
		k.agree(x.Pid)
		c.Refused = true
		k.tell(c) // before its end is seen
		x.Thread.Kill()
		return
	case x.Thread != nil:
		k.agree(x.Pid)
		k.filter(&c, x.Thread)
	default:
		c.Refused = true
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
