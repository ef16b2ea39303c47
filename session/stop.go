package session

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace"
)

const (
	// stopTime is how soon after a signal that may ask for a stop the target
	// must end, for the signal to have been one.
	stopTime = 60 * time.Second
	// sameStop: a stop that is marked already, by whoever asked for it, is not
	// marked again by its signal.
	sameStop = time.Second
)

// stopper finds the stop mark: a signal from outside to the target's first
// process. SIGTERM is one by itself. Others are asked for by what images declare
// (nginx SIGQUIT, postgres SIGINT, Apache SIGWINCH, HAProxy SIGUSR1, systemd
// SIGRTMIN+3) and mean other things elsewhere: they count when the process ends
// soon after. SIGHUP is a reload, and after SIGKILL nothing is called.
type stopper struct {
	first uint32 // the target's first process; 0: not known
	asked Mark   // the last signal that may turn out to be a stop
	done  bool   // the stop of this first process is marked
}

// mayStop are the signals that are a stop if the process ends.
var mayStop = []unix.Signal{unix.SIGQUIT, unix.SIGINT, unix.SIGWINCH, unix.SIGUSR1, unix.Signal(37)}

// begin says which process is the first one.
func (x *stopper) begin(pid uint32) {
	if pid != x.first {
		*x = stopper{first: pid}
	}
}

// see takes one event that became mark m, and returns the stop mark if that is
// what it tells. Inside are the target's own processes: what they send is their
// own business.
func (x *stopper) see(e trace.Event, m Mark, inside []int) (Mark, bool) {
	if x.first == 0 || e.Pid != x.first || x.done {
		return Mark{}, false
	}
	switch e.Kind {
	case trace.EventSignal:
		sig := unix.Signal(e.Args[0])
		if slices.Contains(inside, int(e.Args[1])) || uint32(e.Args[1]) == x.first {
			return Mark{}, false
		}
		stop := Mark{At: m.At, Kind: MarkStop, Pid: e.Pid, Comm: m.Comm,
			Text: fmt.Sprintf("%s from outside (%s)", signalName(e.Args[0]), sender(e))}
		if sig == unix.SIGTERM {
			x.done = true
			return stop, true
		}
		// The same one again, impatiently, is no later stop.
		if slices.Contains(mayStop, sig) && (stop.Text != x.asked.Text || stop.At-x.asked.At > stopTime) {
			x.asked = stop
		}
	case trace.EventExit:
		stop := x.asked
		*x = stopper{}
		return stop, stop.Kind != "" && m.At-stop.At <= stopTime
	}
	return Mark{}, false
}

// addStop adds a stop mark, unless the stop is marked already.
func (s *Session) addStop(m Mark) {
	if at, ok := s.StopAfter(m.At - sameStop); !ok || at > m.At+sameStop {
		s.AddMark(m)
	}
}

// StopAfter returns the first stop mark after a time.
func (s *Session) StopAfter(t time.Duration) (at time.Duration, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stopAfter(t)
}

func (s *Session) stopAfter(t time.Duration) (at time.Duration, ok bool) {
	for _, m := range s.marks {
		if m.Kind == MarkStop && m.At > t && (!ok || m.At < at) {
			at, ok = m.At, true
		}
	}
	return at, ok
}
