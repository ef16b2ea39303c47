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

// installation is the state of one opInstall.
type installation struct {
	insns  []unix.SockFilter
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
	in := &installation{insns: insns, done: map[ptrace.Process]bool{}, since: map[ptrace.Process]time.Time{}, partly: map[ptrace.Process]bool{}}
	err := w.passes(in)
	in.report.Unsure = len(in.partly) > 0
	return in.report, err
}

func (w *worker) passes(in *installation) error {
	end := time.Now().Add(atMost)
	for clean := 0; clean < cleanPasses; {
		if in.report.Passes == maxPasses || time.Now().After(end) {
			return fmt.Errorf("processes appear faster than they can be filtered: gave up after %d passes", in.report.Passes)
		}
		if w.left.Load() && !in.begun() {
			return errLeft
		}
		list, err := w.ask(in.soFar())
		if errors.Is(err, errLeft) && in.begun() {
			list, err = w.heirs()
		}
		if err != nil {
			return err
		}
		in.report.Passes++
		clean++
		for _, p := range list {
			if w.left.Load() && !in.begun() {
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
	res, err := ptrace.Install(p, in.insns)
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
	if errors.Is(err, ptrace.ErrGone) || errors.Is(err, ptrace.ErrBusy) || errors.Is(err, ptrace.ErrNoThread) {
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
