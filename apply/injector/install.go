package injector

import (
	"bytes"
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

// process tells processes apart that had the same pid.
type process struct {
	pid   int
	start uint64
}

// installation is the state of one opInstall.
type installation struct {
	insns  []unix.SockFilter
	report Report
	done   map[process]bool
	since  map[process]time.Time // first refusal of one that may stop later
}

// cleanPasses is how many passes in a row must find no process without the
// filter. One would do, were it not for a process that forks after it was listed
// and ends before it is looked at.
const cleanPasses = 3

// begun says that some process has the filter. From then on the work is brought
// to its end also when nobody waits for it any more: a target must not be left
// half filtered.
func (in *installation) begun() bool { return in.report.Processes > 0 }

// install goes over the processes until none is found without the filter. A
// fork by a process that has it inherits it, so that new processes alone, as a
// fork storm makes them, do not keep it from ending.
func (w *worker) install(insns []unix.SockFilter) (Report, error) {
	in := &installation{insns: insns, done: map[process]bool{}, since: map[process]time.Time{}}
	end := time.Now().Add(atMost)
	for clean := 0; clean < cleanPasses; {
		if in.report.Passes == maxPasses || time.Now().After(end) {
			return in.report, fmt.Errorf("processes appear faster than they can be filtered: gave up after %d passes", in.report.Passes)
		}
		pids, err := w.pids()
		if errors.Is(err, errLeft) && in.begun() {
			pids, err = w.heirs(), nil
		}
		if err != nil {
			return in.report, err
		}
		in.report.Passes++
		clean++
		for _, pid := range pids {
			if w.left.Load() && !in.begun() {
				return in.report, errLeft
			}
			switch in.one(pid) {
			case lacked:
				clean = 0
			case refused:
				clean = 0
				ptrace.ReapFor(2 * time.Millisecond)
			}
		}
	}
	return in.report, nil
}

// finding is what a pass finds out about one process.
type finding uint8

const (
	fine    finding = iota // it has the filter, or ended, or can never get it
	lacked                 // it had no filter, and got it
	refused                // it cannot be stopped now, and is worth another try
)

// one serves one process.
func (in *installation) one(pid int) finding {
	p, ok := identify(pid)
	if !ok || in.done[p] {
		return fine
	}
	res, err := ptrace.Install(pid, in.insns)
	if res.NoNewPrivs {
		in.report.NoNewPrivs++
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
	if errors.Is(err, ptrace.ErrGone) {
		if _, alive := identify(pid); alive {
			return refused // a thread of it ended: try another one
		}
		in.report.Died++
		return fine
	}
	if errors.Is(err, ptrace.ErrBusy) || errors.Is(err, ptrace.ErrNoThread) {
		if in.since[p].IsZero() {
			in.since[p] = time.Now()
		}
		if time.Since(in.since[p]) < patience {
			return refused
		}
	}
	in.fail(pid, err)
	in.done[p] = true
	return fine
}

func (in *installation) fail(pid int, err error) {
	in.report.Failed = append(in.report.Failed, Failure{Pid: pid, Comm: comm(pid), Text: err.Error()})
}

// identify reads a process' start time; false when it is gone or a zombie.
func identify(pid int) (process, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// The name, in parentheses, may hold anything; fields count from behind it.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 20 {
		return process{}, false
	}
	if f[0] == "Z" && f[17] == "1" || f[0] == "X" { // a zombie leader may have live threads
		return process{}, false
	}
	start, err := strconv.ParseUint(f[19], 10, 64)
	return process{pid, start}, err == nil
}

func comm(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSuffix(string(b), "\n")
}
