package injector

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/ptrace"
)

// Bounds on the work.
const (
	patience  = 3 * time.Second  // for one process that does not stop
	atMost    = 60 * time.Second // for all of it
	maxPasses = 1000
)

// installation is the state of one opInstall or opHold.
type installation struct {
	put    func(ptrace.Process) (ptrace.Result, error)
	held   bool // the filters' listeners are for who started us
	report Report
	done   map[ptrace.Process]bool
	since  map[ptrace.Process]time.Time // first refusal of one that may stop later
	partly map[ptrace.Process]bool      // some threads of it may have the filter
}

// cleanPasses is how many passes in a row must find no process without the
// filter. One would do, were it not for a process that forks after it was listed
// and ends before it is looked at.
const cleanPasses = 3

// begun says that some process has the filter, or a thread of one. From then on
// the work is brought to its end also when nobody waits for it any more: a target
// must not be left half filtered.
func (in *installation) begun() bool { return in.report.Processes > 0 || len(in.partly) > 0 }

// install goes over the processes until none is found without the filter. A
// fork by a process that has it inherits it, so that new processes alone, as a
// fork storm makes them, do not keep it from ending.
func (w *worker) install(insns []unix.SockFilter) (Report, error) {
	return w.complete(&installation{put: func(p ptrace.Process) (ptrace.Result, error) { return ptrace.Install(p, insns) }})
}

// hold is install for a filter with a listener, which goes to who started us.
func (w *worker) hold(insns []unix.SockFilter) (Report, error) {
	return w.complete(&installation{held: true, put: func(p ptrace.Process) (ptrace.Result, error) {
		return ptrace.InstallHeld(p, insns, func(fd int) error { return sendOf(passFD, fd, p.Pid) })
	}})
}

func (w *worker) complete(in *installation) (Report, error) {
	in.done, in.since, in.partly = map[ptrace.Process]bool{}, map[ptrace.Process]time.Time{}, map[ptrace.Process]bool{}
	err := w.passes(in)
	in.report.Unsure = len(in.partly) > 0
	return in.report, err
}

// stops says that no more is to be begun: nobody waits, and a target would not be left
// half filtered; or nobody is there to answer for a listener.
func (w *worker) stops(in *installation) bool {
	return w.left.Load() && !in.begun() || in.held && w.alone.Load()
}

func (w *worker) passes(in *installation) error {
	end := time.Now().Add(atMost)
	for clean := 0; clean < cleanPasses; {
		if in.report.Passes == maxPasses || time.Now().After(end) {
			return fmt.Errorf("processes appear faster than they can be filtered: gave up after %d passes", in.report.Passes)
		}
		if w.stops(in) {
			return errLeft
		}
		list, err := w.ask(in.soFar())
		if errors.Is(err, errLeft) && in.begun() && !in.held {
			list, err = w.heirs()
		}
		if err != nil {
			return err
		}
		in.report.Passes++
		clean++
		for _, p := range list {
			if w.stops(in) {
				return errLeft
			}
			switch in.one(p) {
			case lacked:
				clean = 0
			case refused:
				clean = 0
				ptrace.ReapFor(2 * time.Millisecond)
			}
		}
	}
	return nil
}

// soFar is the report without what is long.
func (in *installation) soFar() Report {
	r := in.report
	r.Stops = nil
	r.Failed = r.Failed[:min(len(r.Failed), 100)]
	return r
}

// finding is what a pass finds out about one process.
type finding uint8

const (
	fine    finding = iota // it has the filter, or ended, or can never get it
	lacked                 // it had no filter, and got it
	refused                // it cannot be stopped now, and is worth another try
)

// one serves one process.
func (in *installation) one(p ptrace.Process) finding {
	if in.done[p] {
		return fine
	}
	res, err := in.put(p)
	if res.NoNewPrivs {
		in.report.NoNewPrivs++
	}
	delete(in.partly, p)
	if res.Partly {
		in.partly[p] = true
	}
	if err == nil {
		in.done[p] = true
		in.report.Processes++
		if res.Already {
			return fine
		}
		in.report.Stops = append(in.report.Stops, res.Stopped)
		return lacked
	}
	if errors.Is(err, ptrace.ErrGone) && !alive(p) {
		delete(in.partly, p)
		in.done[p] = true
		in.report.Died++
		return fine
	}
	// Of one that is "gone" and lives, a thread ended: another one may do.
	// One that is traced may be on its way in, followed by the keeper's catcher.
	if errors.Is(err, ptrace.ErrGone) || errors.Is(err, ptrace.ErrBusy) || errors.Is(err, ptrace.ErrNoThread) || in.held && errors.Is(err, ptrace.ErrTraced) {
		if in.since[p].IsZero() {
			in.since[p] = time.Now()
		}
		if time.Since(in.since[p]) < patience {
			return refused
		}
	}
	in.report.Failed = append(in.report.Failed, Failure{Pid: p.Pid, Comm: comm(p.Pid), Text: err.Error()})
	in.done[p] = true
	return fine
}

// alive says whether a process still has its number. What cannot be asked is
// taken for alive.
func alive(p ptrace.Process) bool {
	now, err := ptrace.Identify(p.Pid)
	if err != nil || p.Start == 0 {
		return !errors.Is(err, ptrace.ErrGone)
	}
	return now == p
}

func comm(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSuffix(string(b), "\n")
}
