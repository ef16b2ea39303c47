package ptrace

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Entrant is a process that has come into a target from outside, with all that it
// forks, until it execs a program of the target's.
type Entrant struct {
	Pid      int
	MountNS  uint64 // of whoever let it in: an exec in that one is the container runtime's own
	AnyExec  bool   // its first exec is the program, whatever its mount namespace
	Late     bool   // the target's own program had begun
	Refuse   bool   // its exec fails with EPERM
	since    time.Time
	refusing int // the thread whose exec is about to fail
	refused  bool
}

// Caught is an Entrant at its exec: Thread is at rest before the program's first
// instruction, and the caller installs a filter or detaches it. It is nil for one
// whose exec was refused, and for one that was let go because it did not exec in time.
type Caught struct {
	Entrant
	Thread *Thread
	Pid    int // of the program
	Err    error
}

// Catcher seizes entrants, which run freely, and catches their execs. All of it
// belongs to one locked OS thread, which stops nothing else.
type Catcher struct {
	tids map[int]*Entrant // nil: the parent's report has not come yet
}

// NewCatcher returns one that has caught nobody.
func NewCatcher() *Catcher { return &Catcher{tids: map[int]*Entrant{}} }

// catchWithin is how long an entrant is followed. An engine may let a container wait
// between its creation and its start.
const catchWithin = 2 * time.Minute

const catchOptions = unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACESYSGOOD

// Seize follows a process from now on, with all its threads and all that it forks.
// One that is followed already is no error.
func (c *Catcher) Seize(e Entrant) error {
	e.since = time.Now()
	tasks := []Task{{Tid: e.Pid}} // the leader first: there may be little time
	for more := true; more; {
		more = false
		for _, t := range tasks {
			if c.tids[t.Tid] != nil {
				continue
			}
			err := seize(t.Tid, catchOptions)
			switch {
			case errors.Is(err, ErrGone):
				continue
			case errors.Is(err, ErrTraced) && c.ours(t.Tid): // the kernel seized it as it was made
			case err != nil:
				c.release(func(x *Entrant) bool { return x == &e })
				return err
			}
			c.tids[t.Tid] = &e
			if more = true; e.Refuse {
				_, _ = ptrace(unix.PTRACE_INTERRUPT, t.Tid, 0, 0) // its calls are looked at from its next stop on
			}
		}
		var err error
		if tasks, err = Tasks(e.Pid); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catcher) ours(tid int) bool {
	tracer, err := tracerOf(tid)
	return err == nil && (tracer == unix.Gettid() || tracer == os.Getpid())
}

// Follows reports whether a thread is followed.
func (c *Catcher) Follows(tid int) bool {
	_, ok := c.tids[tid]
	return ok
}

// Poll takes up what the followed have reported, without waiting: SIGCHLD tells that
// there is something. It answers those that are to be dealt with.
func (c *Catcher) Poll() []Caught {
	var out []Caught
	for {
		s, ok := reported()
		if !ok {
			break
		}
		if stuck[s.tid] {
			settleStuck(s)
			continue
		}
		if x, ok := c.stopped(s); ok {
			out = append(out, x)
		}
	}
	return append(out, c.overdue()...)
}

// stopped goes on from one report.
func (c *Catcher) stopped(s stop) (Caught, bool) {
	e := c.tids[s.tid]
	switch s.kind {
	case stopGone:
		delete(c.tids, s.tid)
	case stopExec:
		return c.execed(s.tid)
	case stopClone:
		if child, err := eventMessage(s.tid); err == nil {
			c.tids[child] = e
		}
		c.resume(s.tid, 0)
	case stopSignal:
		c.resume(s.tid, s.sig)
	case stopGroup:
		_, _ = ptrace(unix.PTRACE_LISTEN, s.tid, 0, 0)
	case stopSyscall:
		refused := c.refuse(s.tid)
		c.resume(s.tid, 0)
		return refused, refused.Pid != 0
	default:
		if _, known := c.tids[s.tid]; !known {
			c.tids[s.tid] = nil
		}
		c.resume(s.tid, 0)
	}
	return Caught{}, false
}

func (c *Catcher) resume(tid, sig int) {
	how := reqCont
	if e := c.tids[tid]; e != nil && e.Refuse {
		how = reqSyscall
	}
	OnStep()
	_, _ = ptrace(how, tid, 0, uintptr(sig))
}

// execed tells the runtime's own exec from that of the program.
func (c *Catcher) execed(tid int) (Caught, bool) {
	e := c.tids[tid]
	if former, err := eventMessage(tid); err == nil && former != tid {
		if e == nil {
			e = c.tids[former]
		}
		delete(c.tids, former) // its number is the leader's now
		c.tids[tid] = e
	}
	if e != nil && !e.comes(tid) {
		c.resume(tid, 0)
		return Caught{}, false
	}
	delete(c.tids, tid)
	OnStep()
	t, err := atExec(tid)
	x := Caught{Thread: t, Pid: tid, Err: err}
	if e != nil {
		x.Entrant = *e
	}
	return x, true
}

// comes says that an exec, now, is that of the program.
func (e *Entrant) comes(tid int) bool {
	if e.AnyExec {
		return true
	}
	var st unix.Stat_t
	return unix.Stat(fmt.Sprintf("/proc/%d/ns/mnt", tid), &st) == nil && st.Ino != e.MountNS
}

// refuse has the exec fail that a thread makes, if it is one of the program: at its
// entry it becomes a call that is none, and at its exit it gets its error. It answers
// who was refused, once.
func (c *Catcher) refuse(tid int) (x Caught) {
	e := c.tids[tid]
	var regs unix.PtraceRegs
	si, err := getSyscallInfo(tid)
	if err != nil || e == nil || !e.Refuse || unix.PtraceGetRegs(tid, &regs) != nil {
		return x
	}
	switch {
	case si.Op == opEntry && (si.U[0] == unix.SYS_EXECVE || si.U[0] == unix.SYS_EXECVEAT) && e.comes(tid):
		regs.Orig_rax = ^uint64(0)
		if !e.refused {
			x = Caught{Entrant: *e, Pid: e.Pid}
		}
		e.refusing, e.refused = tid, true
	case si.Op == opExit && e.refusing == tid:
		regs.Rax = ^uint64(unix.EPERM) + 1
		e.refusing = 0
	default:
		return x
	}
	OnStep()
	_ = unix.PtraceSetRegs(tid, &regs)
	return x
}

// overdue lets those go that did not exec in time.
func (c *Catcher) overdue() []Caught {
	late := map[*Entrant]bool{}
	for _, e := range c.tids {
		if e != nil && time.Since(e.since) > catchWithin {
			late[e] = true
		}
	}
	var out []Caught
	for e := range late {
		out = append(out, Caught{Entrant: *e, Pid: e.Pid, Err: ErrNoExec})
	}
	c.release(func(e *Entrant) bool { return late[e] })
	return out
}

// Release lets one entrant go on, with all that it forked.
func (c *Catcher) Release(pid int) {
	c.release(func(e *Entrant) bool { return e != nil && e.Pid == pid })
}

// Close lets everybody go on as if they had not been followed.
func (c *Catcher) Close() { c.release(func(*Entrant) bool { return true }) }

func (c *Catcher) release(which func(*Entrant) bool) {
	for tid, e := range c.tids {
		if which(e) {
			t := &Thread{Tid: tid}
			_ = t.interrupt()
			t.Detach()
			delete(c.tids, tid)
		}
	}
}

// eventMessage is what the kernel says of a thread's event: the new thread, or the
// former number of the one that exec'ed.
func eventMessage(tid int) (int, error) {
	n, err := unix.PtraceGetEventMsg(tid)
	return int(n), err
}

// InstallFilter puts f into the thread that was caught, and lets it go.
func (t *Thread) InstallFilter(f []unix.SockFilter) (Result, error) {
	r := Result{Threads: 1}
	err := t.installAlone(&r, f)
	r.Stopped = t.Detach()
	if err != nil {
		return r, fmt.Errorf("install filter in process %d: %w", t.Tid, err)
	}
	return r, nil
}

func (t *Thread) installAlone(r *Result, f []unix.SockFilter) (err error) {
	if err := t.check(); err != nil {
		return err
	}
	t.suspend = true // what is there already may deny seccomp
	a, err := t.place(f)
	if err != nil {
		return err
	}
	r.NoNewPrivs, err = a.load(0)
	a.free()
	if err != nil {
		return err
	}
	has, _, err := t.newestIs(f)
	if err == nil && !has {
		err = ErrTampered
	}
	return err
}
