package session

import (
	"fmt"
	"time"

	"speaker/policy"
)

// Probe looks at the processes of a target from outside.
type Probe interface {
	// InFlight returns the calls that threads are asleep in; not nil.
	InFlight(pids []int) []policy.Call
	// ListenWaits returns the threads asleep on a listening socket of theirs.
	ListenWaits(pids []int) []ListenWait
	// First returns the process whose parent is none of them, 0 when there is
	// not exactly one.
	First(pids []int) uint32
	// Frozen reports whether a process is frozen.
	Frozen(pid int) bool
}

// ListenWait is a thread that is asleep on a listening socket. Its strings are
// hostile bytes.
type ListenWait struct {
	Pid  uint32
	Comm string
	Call policy.Call
	Addr string // "tcp 0.0.0.0:80"
}

// mark is the mark of the first time that a process is seen to wait.
func (w ListenWait) mark(at time.Duration) Mark {
	return Mark{
		At: at, Kind: MarkListenWait, Pid: w.Pid, Comm: w.Comm,
		Text: fmt.Sprintf("%v on %s", w.Call, w.Addr),
	}
}

// watcher asks a Probe, and tells the waits that are new. To look takes its time
// from the whole host: while a program boots it may take a tenth of a CPU, later
// a fiftieth. Where nothing was called, who slept sleeps on.
type watcher struct {
	probe Probe
	seen  map[waitKey]bool
	began time.Time // the first look
	next  time.Time
	idle  time.Time // until then it need not look if nothing was called
	last  []policy.Call
}

// How a watcher shares out its time.
const (
	bootLooks = time.Minute // from the first look on, it looks more often
	idleLook  = 2 * time.Second
)

type waitKey struct {
	pid  uint32
	addr string
}

// maxSeen bounds what a target that changes its sockets without end can ask for.
const maxSeen = 10_000

// look returns the calls in flight, nil when it is not yet time to look again,
// and the waits that were not seen before. active says that something was called
// since the last time it looked: else it may answer what it saw then.
func (w *watcher) look(pids []int, active bool) ([]policy.Call, []ListenWait) {
	begin := time.Now()
	switch {
	case w.probe == nil:
		return nil, nil
	case !active && begin.Before(w.idle):
		return w.last, nil
	case begin.Before(w.next):
		return nil, nil
	}
	if w.began.IsZero() {
		w.began = begin
	}
	inFlight := append([]policy.Call{}, w.probe.InFlight(pids)...)
	var fresh []ListenWait
	for _, x := range w.probe.ListenWaits(pids) {
		k := waitKey{x.Pid, x.Addr}
		if !w.seen[k] && len(w.seen) < maxSeen {
			w.seen[k] = true
			fresh = append(fresh, x)
		}
	}
	w.last = inFlight
	end := time.Now()
	rest := time.Duration(9)
	if begin.Sub(w.began) > bootLooks {
		rest = 49
	}
	w.next, w.idle = end.Add(rest*end.Sub(begin)), end.Add(idleLook)
	return inFlight, fresh
}
