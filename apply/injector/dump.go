package injector

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/ptrace"
)

// rounds is after how many rounds threads that are made all the time need not
// be followed any more, if the last round found no new chain of filters.
const rounds = 3

// dump stops every thread in turn, each for a moment, and reads its filters.
// Threads that were made meanwhile are taken up by another round.
func (w *worker) dump() (Dump, error) {
	var d Dump
	seen := map[int]bool{}
	for round := range 50 {
		pids, err := w.pids()
		if err != nil {
			return d, err
		}
		fresh, chains := false, len(d.Chains)
		for _, pid := range pids {
			tasks, err := ptrace.Tasks(pid)
			if err != nil {
				continue
			}
			for _, task := range tasks {
				if seen[task.Tid] {
					continue
				}
				if w.left.Load() {
					return d, errLeft
				}
				seen[task.Tid], fresh = true, true
				d.add(pid, task)
			}
		}
		if !fresh || round >= rounds && len(d.Chains) == chains {
			return d, nil
		}
	}
	return d, errors.New("threads appear faster than they can be looked at")
}

func (d *Dump) add(pid int, task ptrace.Task) {
	chain, err := chainOf(task.Tid)
	switch {
	case errors.Is(err, ptrace.ErrGone):
	case err != nil:
		d.Failed = append(d.Failed, Failure{Pid: pid, Comm: task.Comm, Text: err.Error()})
	default:
		d.Threads = append(d.Threads, Thread{Pid: pid, Tid: task.Tid, Comm: task.Comm, Chain: d.intern(chain)})
	}
}

// chainOf waits for a thread that cannot be stopped right now.
func chainOf(tid int) ([][]unix.SockFilter, error) {
	for end := time.Now().Add(patience); ; {
		t, err := ptrace.Stop(tid)
		if errors.Is(err, ptrace.ErrBusy) && time.Now().Before(end) {
			ptrace.ReapFor(2 * time.Millisecond)
			continue
		}
		if err != nil {
			return nil, err
		}
		chain, err := t.Filters()
		t.Detach()
		return chain, err
	}
}

func (d *Dump) intern(chain [][]unix.SockFilter) int {
	for i, c := range d.Chains {
		if slices.EqualFunc(c, chain, slices.Equal) {
			return i
		}
	}
	d.Chains = append(d.Chains, chain)
	return len(d.Chains) - 1
}
