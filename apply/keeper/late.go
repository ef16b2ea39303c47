package keeper

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"speaker/apply/injector"
	"speaker/trace/proc"
)

// Choice is what becomes of who comes into the target later than its program.
type Choice = injector.Choice

// The choices. Of those that came in before, a listener still answers: what boot alone
// needs is let through to them by LateBoot, whatever the mode, and denied by the others.
const (
	LateBoot   = injector.Boot
	LateRun    = injector.Run
	LateRefuse = injector.Refuse
)

// ErrNobodyComes is the answer for a target that nobody comes into later.
var ErrNobodyComes = errors.New("nobody comes into this target later: only containers have exec and probes")

// LateStatus is what a keeper knows of those who came in later.
type LateStatus struct {
	Choice   Choice
	Catching bool   // who comes in now is caught
	Caught   uint64 // got their filter before their first instruction
	Refused  uint64
	Injected uint64 // got it a moment after it
	Missed   uint64 // run without it
	Pids     []int  // of those that live, without what they started
	Last     string // what is to be known of the last that was missed, or why nobody is caught; hostile bytes
}

// late deals with who comes into a target from outside: it catches them, has the hold
// answer for those that came later, and hands on the program of a life that begins.
type late struct {
	config   Config
	now      func() *hold // whose counts and answers they get
	programs chan program

	mu      sync.Mutex
	catcher *injector.Catcher // nil: nobody is caught
	status  LateStatus
	left    bool           // nobody is to be caught any more
	pids    map[int]uint64 // who came, and began when
	choice  atomic.Value   // status.Choice, for who has no time to wait
}

// program is the target's own, caught at its exec.
type program struct {
	pid        int
	listener   *os.File
	noNewPrivs bool
	err        error
}

func newLate(c Config, now func() *hold) *late {
	l := &late{config: c, now: now, programs: make(chan program, 1), pids: map[int]uint64{}, status: LateStatus{Choice: c.Late}}
	l.choice.Store(c.Late)
	return l
}

// start catches who comes in from now on.
func (l *late) start() error {
	entries := *l.config.Entries
	if h := l.now(); h != nil {
		entries.CgroupPath = h.config.Cgroup
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k, err := injector.StartCatching(injector.Catching{Entries: entries, Start: l.config.Insns, LateBoot: l.config.LateBootInsns, Narrow: l.config.NarrowInsns, Late: l.status.Choice})
	if err != nil {
		return fmt.Errorf("catch who comes in: %w", err)
	}
	l.catcher, l.status.Catching = k, true
	go l.listen(k)
	return nil
}

// stop lets everybody in as they are. It returns when nobody is followed any more.
func (l *late) stop() {
	l.mu.Lock()
	k := l.catcher
	l.catcher, l.status.Catching, l.left = nil, false, true
	l.mu.Unlock()
	if k != nil {
		k.Close()
	}
}

// choose changes what becomes of who comes in, and of what those ask that came.
func (l *late) choose(c Choice) error {
	switch c {
	case LateBoot, LateRun, LateRefuse:
	default:
		return fmt.Errorf("unknown choice %q", c)
	}
	if err := l.take(c); err != nil {
		return err
	}
	l.note(fmt.Sprintf("what becomes of who comes in later: %s", c))
	return nil
}

func (l *late) take(c Choice) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.catcher != nil {
		if err := l.catcher.Choose(c); err != nil {
			return err
		}
	}
	l.status.Choice = c
	l.choice.Store(c)
	return nil
}

// listen hears of who was caught until the catcher ends.
func (l *late) listen(k *injector.Catcher) {
	for {
		x, f, err := k.Next()
		switch {
		case err != nil:
			l.over(k, err)
			return
		case x.Late:
			l.came(x, f)
		case f != nil:
			l.begin(program{pid: x.Pid, listener: f, noNewPrivs: x.NoNewPrivs})
		case x.Missed:
			l.begin(program{pid: x.Pid, err: fmt.Errorf("its program (pid %d) was not caught, and runs as it would have: %s", x.Pid, x.Err)})
		}
	}
}

// begin hands a program on. There is one at a time.
func (l *late) begin(p program) {
	select {
	case l.programs <- p:
	default:
		if p.listener != nil {
			p.listener.Close()
		}
	}
}

// anewAfter is when another catcher takes the place of one that was killed.
const anewAfter = time.Second

// over notes that nobody is caught any more, unless it was us who ended that, and tries
// to catch again.
func (l *late) over(k *injector.Catcher, why error) {
	l.mu.Lock()
	ours := l.catcher == k
	if ours {
		l.catcher, l.status.Catching = nil, false
		l.status.Last = "who comes in is caught no more: " + why.Error()
	}
	l.mu.Unlock()
	if !ours {
		return
	}
	k.Close()
	if l.now() == nil {
		l.begin(program{err: fmt.Errorf("whoever was to catch it is gone: %w", why)})
		return
	}
	l.note("who comes in is caught no more: " + why.Error())
	time.AfterFunc(anewAfter, l.anew)
}

// anew catches again, once there is a life to catch for.
func (l *late) anew() {
	l.mu.Lock()
	left := l.left
	l.mu.Unlock()
	if left || l.now() == nil {
		return
	}
	if err := l.start(); err != nil {
		l.note(err.Error())
		return
	}
	l.note("who comes in is caught again")
}

// missing notes why nobody is caught.
func (l *late) missing(why error) {
	l.mu.Lock()
	l.status.Last = "who comes in is not caught: " + why.Error()
	l.mu.Unlock()
	l.note("who comes in is not caught: " + why.Error())
}

// note writes into the journal of the hold, if there is one yet.
func (l *late) note(why string) {
	if h := l.now(); h != nil {
		h.note(why)
	}
}

// came counts one that came in later, and has the hold answer for it.
func (l *late) came(x injector.Catch, f *os.File) {
	h := l.now()
	if f != nil {
		defer f.Close()
		if h != nil { // else it fails as if we were killed
			_ = h.ears.add(f, x.Pid, FromLate)
		}
	}
	if x.Err != "" {
		l.note(fmt.Sprintf("process %d (%s) came in: %s", x.Pid, x.Comm, x.Err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(x.Pid)
	switch {
	case x.Refused:
		l.status.Refused++
	case x.Injected:
		l.status.Injected++
	case x.Missed:
		l.status.Missed++
		l.status.Last = fmt.Sprintf("process %d (%s) came in and runs without our filter: %s", x.Pid, x.Comm, x.Err)
	case x.Err == "":
		l.status.Caught++
	}
}

// maxCame bounds those who are remembered.
const maxCame = 4096

// remember notes one that came. Locked by the caller.
func (l *late) remember(pid int) {
	if len(l.pids) >= maxCame {
		l.forget()
	}
	if len(l.pids) < maxCame {
		l.pids[pid], _, _ = proc.Began(pid)
	}
}

// forget drops those that have ended. Locked by the caller.
func (l *late) forget() {
	maps.DeleteFunc(l.pids, func(pid int, began uint64) bool {
		now, _, ok := proc.Began(pid)
		return !ok || now != began
	})
}

// brought reports whether one of these processes came in later.
func (l *late) brought(pids []int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(pids, func(pid int) bool { _, ok := l.pids[pid]; return ok })
}

func (l *late) state() *LateStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	for pid, began := range l.pids {
		if now, _, ok := proc.Began(pid); ok && now == began {
			s.Pids = append(s.Pids, pid)
		}
	}
	slices.Sort(s.Pids)
	return &s
}

// AgainWithin is how long the keeper of a container that has ended waits for its next
// life.
const AgainWithin = 2 * time.Minute
