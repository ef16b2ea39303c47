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

// watcher asks a Probe, no more often than a tenth of the time allows, and tells
// the waits that are new.
type watcher struct {
	probe Probe
	seen  map[waitKey]bool
	next  time.Time
}

type waitKey struct {
	pid  uint32
	addr string
}

// maxSeen bounds what a target that changes its sockets without end can ask for.
const maxSeen = 10_000

// look returns the calls in flight, nil when it is not yet time to look again,
// and the waits that were not seen before.
func (w *watcher) look(pids []int) ([]policy.Call, []ListenWait) {
	begin := time.Now()
	if w.probe == nil || begin.Before(w.next) {
		return nil, nil
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
	end := time.Now()
	w.next = end.Add(9 * end.Sub(begin))
	return inFlight, fresh
}
