package session

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// Late is a call that run came to use late: one that the program never used
// before the split, or that boot used and run only after a quiet while. Had the
// run filter been in place, it would have been denied.
type Late struct {
	At     time.Duration
	Call   policy.Call
	InBoot bool // boot used it
	// Who made it; Pid is 0 when nothing tells. It comes from the stream's first
	// sample of the call, else from the counts per process. Comm is hostile bytes.
	Pid  uint32
	Comm string
}

// Late returns the calls that came late in run, in the order of time. Of a program
// whose start was not seen there are none: what is new to the recording may not be
// new to the program.
func (s *Session) Late(sp Split) []Late {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if sp.At <= 0 || !s.meta.StartSeen { // what came before was not seen: everything would be new
		return nil
	}
	t, spans := &s.table, s.runSpans(sp)
	var out []Late
	for _, c := range t.order {
		if c.group != trace.Main {
			continue
		}
		u, ok := c.within(spans, t.starts)
		inBoot := c.first <= sp.At
		if !ok || inBoot && u.first < sp.At+quietWait || s.sleptIn(c.call, clipSpans(spans, sp.At, u.first)) {
			continue
		}
		x := Late{At: u.first, Call: c.call, InBoot: inBoot}
		x.Pid, x.Comm = s.caller(c.call, u.first)
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Late) int {
		return cmp.Or(cmp.Compare(a.At, b.At), compareCalls(a.Call, b.Call))
	})
	return out
}

// sleptIn reports whether a thread was seen asleep in a call in some spans of run,
// and so whether they have it, wherever it was entered.
func (s *Session) sleptIn(c policy.Call, spans []stretch) bool {
	f := s.table.flights[c]
	return f != nil && slices.ContainsFunc(spans, func(x stretch) bool { return f.in(x.from, x.to) })
}

// caller finds who made a call at a time: by the samples that are kept, else by
// the counts per process.
func (s *Session) caller(c policy.Call, at time.Duration) (pid uint32, comm string) {
	near := func(t time.Duration) bool { return t >= at-trace.Tick && t <= at+trace.Tick }
	if x, ok := s.samples.first[key{trace.Main, c}]; ok && near(x.At) {
		return x.Pid, x.Comm
	}
	for _, x := range s.samples.ring {
		if x.Group == trace.Main && x.Call == c && near(x.At) {
			return x.Pid, x.Comm
		}
	}
	for k, u := range s.processes {
		if k.call == c && u.Group == trace.Main && near(u.First) && (pid == 0 || k.pid < pid) {
			pid, comm = u.Pid, u.Comm
		}
	}
	return pid, comm
}

// String says it in one line: "rename at 8.01 s, by web (pid 9)".
func (x Late) String() string {
	text := fmt.Sprintf("%v at %s", x.Call, seconds(x.At))
	if x.Pid != 0 {
		text += ", by " + named(Mark{Pid: x.Pid, Comm: x.Comm})
	}
	if x.InBoot {
		text += ", known from boot"
	}
	return text
}
