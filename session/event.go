package session

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"speaker/trace"
)

// eventMarks are the kinds of marks that events become.
var eventMarks = map[trace.EventKind]string{
	trace.EventFork:       MarkFork,
	trace.EventExec:       MarkExec,
	trace.EventExit:       MarkExit,
	trace.EventListen:     MarkListen,
	trace.EventAccept:     MarkAccept,
	trace.EventWait:       MarkWait,
	trace.EventBind:       MarkBind,
	trace.EventSeccomp:    MarkSeccomp,
	trace.EventSignal:     MarkSignal,
	trace.EventEnter:      MarkEnter,
	trace.EventLeave:      MarkLeave,
	trace.EventUringNew:   MarkUring,
	trace.EventNoNewPrivs: MarkNoNewPrivs,
	trace.EventCaps:       MarkCaps,
	trace.EventUID:        MarkUID,
}

// mark turns an event into a mark. The first exec of the program itself, when
// the tracer stood before it, is the start.
func (r *Recorder) mark(m Meta, e trace.Event) (Mark, bool) {
	kind, ok := eventMarks[e.Kind]
	if e.Kind == trace.EventFreeze {
		r.freezer.told(e.Args[0] != 0)
		kind, ok = r.freezer.kind(), true
	}
	if !ok {
		return Mark{}, false
	}
	out := Mark{At: m.Offset(e.Time), Kind: kind, Pid: e.Pid, Comm: e.Comm, Text: e.Path}
	switch e.Kind {
	case trace.EventExec:
		if m.StartSeen && !r.started && e.Group == trace.Main {
			r.started, out.Kind = true, MarkStart
		}
	case trace.EventFork:
		out.Text = fmt.Sprintf("child %d", e.Args[0])
	case trace.EventExit:
		out.Text = exitText(e.Args[0])
	case trace.EventUID:
		out.Text = fmt.Sprintf("user %d", uint32(e.Args[0]))
	case trace.EventSignal: // its comm is the sender's
		out.Comm, out.Text = r.who[e.Pid].comm, fmt.Sprintf("%s from %d", signalName(e.Args[0]), e.Args[1])
	}
	return out, true
}

// sender names who sent a signal: "pid 7" or "runc, pid 7".
func sender(e trace.Event) string {
	if e.Comm == "" {
		return fmt.Sprintf("pid %d", e.Args[1])
	}
	return fmt.Sprintf("%s, pid %d", e.Comm, e.Args[1])
}

// exitText says how a process ended, from its wait status.
func exitText(status uint64) string {
	if sig := status & 0x7f; sig != 0 {
		return "killed by " + signalName(sig)
	}
	return fmt.Sprintf("exit code %d", status>>8&0xff)
}

func signalName(n uint64) string {
	if n < 65 {
		if name := unix.SignalName(unix.Signal(n)); name != "" {
			return name
		}
	}
	return fmt.Sprintf("signal %d", n)
}

// maxOutside bounds the processes that are told apart.
const maxOutside = 10_000

// follow learns from e which processes are not the program's own. Who sleeps in
// what is read from /proc, which does not know.
func (r *Recorder) follow(e trace.Event) {
	switch {
	case e.Kind == trace.EventExit:
		delete(r.outside, e.Pid)
	case e.Kind == trace.EventExec && e.Group == trace.Main:
		delete(r.outside, e.Pid)
	case len(r.outside) >= maxOutside:
	case e.Kind == trace.EventEnter, e.Group != trace.Main:
		r.outside[e.Pid] = true
		if e.Kind == trace.EventFork {
			r.outside[uint32(e.Args[0])] = true
		}
	}
}

// own leaves those out of pids that are not the program's own.
func (r *Recorder) own(pids []int) []int {
	if len(r.outside) == 0 {
		return pids
	}
	out := make([]int, 0, len(pids))
	for _, pid := range pids {
		if !r.outside[uint32(pid)] {
			out = append(out, pid)
		}
	}
	return out
}

// inside are the program's own processes of one tick: those that are there at its
// end, and those that only its events tell of. A process may send a signal and end
// before anyone looks.
func inside(own []int, events []trace.Event) []int {
	out := slices.Clone(own)
	for _, e := range events {
		if e.Group != trace.Main {
			continue
		}
		if out = append(out, int(e.Pid)); e.Kind == trace.EventFork {
			out = append(out, int(e.Args[0]))
		}
	}
	return out
}
