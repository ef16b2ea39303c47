package session

import (
	"speaker/policy"
	"speaker/trace"
)

// maxKnown bounds the processes that a recorder knows by what they executed.
const maxKnown = 10_000

// who knows the target's processes by their events: when each began, and what it
// executes. Times are the events' own: where the recording begins is not known
// before its first epoch.
type who map[uint32]known

type known struct {
	exe   string
	comm  string // when it was last forked or executed something; "" for neither
	began uint64 // 0: before the recording
}

// follow takes an event in.
func (w who) follow(e trace.Event) {
	switch e.Kind {
	case trace.EventFork:
		w.put(uint32(e.Args[0]), known{w[e.Pid].exe, e.Comm, e.Time})
	case trace.EventEnter:
		w.put(e.Pid, known{"", e.Comm, e.Time})
	case trace.EventExec:
		w.put(e.Pid, known{e.Path, e.Comm, w[e.Pid].began})
	}
}

func (w who) put(pid uint32, k known) {
	if _, is := w[pid]; is || len(w) < maxKnown {
		w[pid] = k
	}
}

// use is a tracer's row of a process, in the times of the recording.
func (w who) use(m Meta, r trace.ProcRow) ProcessUse {
	k := w[r.Pid]
	p := Process{Pid: r.Pid, Comm: r.Comm, Exe: k.exe}
	if k.began != 0 {
		p.Start = m.Offset(k.began)
	}
	return ProcessUse{p, r.Group, policy.Call{ABI: policy.ABI(r.ABI), Nr: r.Nr}, r.Count, m.Offset(r.First), m.Offset(r.Last)}
}
