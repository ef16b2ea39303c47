package session

import (
	"time"

	"speaker/policy"
	"speaker/trace"
)

// Target is what a session is about, as it was when the recording began. Its
// strings come from engines and containers: they are hostile bytes.
type Target struct {
	Engine  string // "docker", "demo", "cgroup", "process", "run"
	ID      string
	Name    string
	Image   string
	Command string
}

// Meta is what is known of a recording as a whole.
type Meta struct {
	Target Target
	Kernel string // release of the kernel that was recorded on
	Host   string
	Tool   string // name and version of what recorded
	// EngineVersion is the name and the version of the target's engine, as that
	// calls itself: hostile bytes, "" if there is none or it did not tell.
	EngineVersion string
	// Start is the wall clock at offset 0, Base CLOCK_MONOTONIC (ns) there.
	Start time.Time
	Base  uint64
	// StartSeen is set when the tracer stood before the target's first call.
	StartSeen bool
}

// Offset turns a CLOCK_MONOTONIC time (ns) into an offset from the start of the
// recording. It is negative for what happened before.
func (m Meta) Offset(mono uint64) time.Duration {
	return time.Duration(int64(mono - m.Base))
}

// Row is the exact count of one call of one group in one epoch. First and Last
// are offsets from the start of the recording.
type Row struct {
	Group       trace.Group
	Call        policy.Call
	Count       uint64
	First, Last time.Duration
}

// Epoch is a slice of time with its own exact table.
type Epoch struct {
	Start, End time.Duration
	Rows       []Row
	// Lone lists, when the epoch is several in one, the rows (ascending indexes)
	// whose Last is known to the nanosecond although they count more than one
	// use: there was one in the last of the several.
	Lone []int
	// InFlight are the calls that a thread was asleep in at a look, which is at
	// End. Nil when nobody looked.
	InFlight []policy.Call
	// Looks are, when the epoch is several in one, the first and the last look
	// that saw each of InFlight. A first at Start: it was asleep at the end of the
	// epoch before, and since. Nil: there was one, at End.
	Looks []Look
	Lost  trace.Lost // totals since the recording began, not of this epoch
}

// Look is a span of time at whose ends a thread was seen asleep in a call.
type Look struct{ First, Last time.Duration }

// look is when call i of InFlight was seen.
func (e Epoch) look(i int) Look {
	if e.Looks == nil {
		return Look{e.End, e.End}
	}
	return e.Looks[i]
}

// The kinds of marks. A mark of another kind is kept and shown all the same.
const (
	MarkStart      = "start"        // the program's first exec was seen
	MarkExec       = "exec"         // a process became another program (Text)
	MarkFork       = "fork"         // a process was forked
	MarkExit       = "exit"         // a process ended
	MarkListen     = "listen"       // a process listened for the first time
	MarkAccept     = "accept"       // a process accepted for the first time
	MarkBind       = "bind"         // a process bound a socket
	MarkWait       = "wait"         // a process waited in epoll, poll or select for the first time
	MarkListenWait = "listen-wait"  // a thread was seen asleep on a listening socket (Text: the call and the address)
	MarkSignal     = "signal"       // a signal was sent to a process
	MarkReload     = "reload"       // the target was asked for something that is no stop: a reload, by a signal
	MarkStop       = "stop"         // the target was asked to stop: the stop mark of the timeline
	MarkEnter      = "enter"        // a process entered from outside (docker exec, a probe)
	MarkLeave      = "leave"        // a process left the target
	MarkSeccomp    = "seccomp"      // the target loaded a filter of its own
	MarkUring      = "io_uring"     // the target made a ring: what it does there is not seen and not filtered
	MarkNoNewPrivs = "no-new-privs" // a process gave up gaining privileges by exec
	MarkCaps       = "capabilities" // a process changed its capabilities, or gave one up for good
	MarkUID        = "uid"          // a process became another user (Text)
	MarkFrozen     = "frozen"
	MarkThawed     = "thawed"
	MarkProbe      = "probe"      // a readiness probe that the user named is asked from now on (Text: its name)
	MarkReady      = "ready"      // it was answered (Text: its name and what it said: "tcp 127.0.0.1:80 answers")
	MarkUnready    = "unready"    // it is asked no longer and was not answered (Text: its name and why)
	MarkUser       = "user"       // the user's own
	MarkGap        = "gap"        // for a while nothing was recorded (Text says for how long and why)
	MarkEnded      = "ended"      // the target's last process was gone
	MarkRanBefore  = "ran-before" // the container was not new: what its very first start does is done
)

// Mark is an instant that means something. Comm and Text are hostile bytes.
type Mark struct {
	At   time.Duration
	Kind string
	Pid  uint32 // in the host's pid namespace; 0: none
	Comm string
	Text string
}

// Evidence is a fact that speaks for or against a split, in words.
type Evidence struct {
	At   time.Duration
	For  bool
	Text string
}

// The confidence of a split.
const (
	High   = "high"
	Medium = "medium"
	Low    = "low"
)

// Split cuts a recording into phases. Boot ends at At: calls up to and including
// At belong to boot, later ones to run. Stop, when it is after At, ends run in
// the same way.
type Split struct {
	At, Stop   time.Duration // Stop 0: none
	How        string        // how it was found, a sentence: "a thread waits on tcp 0.0.0.0:80 and 3 s without a new call"
	By         string        // "proposal", "user"
	Confidence string        // High, Medium, Low, or "" (a user's own)
	Evidence   []Evidence
	// Rule pins the split to what happens, see Rule; "" is a split at an instant.
	// Waits says that it has not happened yet: then all is boot, and At is 0.
	Rule  string
	Waits bool
}

// Trial is something that was tried on the target, and how it came out.
type Trial struct {
	At   time.Duration
	Kind string // "dry-run", "inject", "hold", "deny", "undo", "seal", "prove"
	OK   bool
	Text string
}

// Sample is one event of the live stream, for eyes only. Comm and Path are
// hostile bytes.
type Sample struct {
	At       time.Duration
	Pid, Tid uint32 // in the host's pid namespace
	Group    trace.Group
	Call     policy.Call
	Args     [6]uint64
	Comm     string
	Path     string // for calls that take a path, as far as it could be read
}

// SampleOf turns a sample of the tracer into one of the session with this Meta.
func (m Meta) SampleOf(t trace.Sample) Sample {
	return Sample{
		At: m.Offset(t.Time), Pid: t.Pid, Tid: t.Tid, Group: t.Group,
		Call: policy.Call{ABI: policy.ABI(t.ABI), Nr: t.Nr},
		Args: t.Args, Comm: t.Comm, Path: t.Path,
	}
}

// Discovery is the first use of a call by the program itself (group Main).
type Discovery struct {
	At   time.Duration
	Call policy.Call
}

// Bucket is one slice of the timeline: Start < t <= End.
type Bucket struct {
	Start, End time.Duration
	Calls      uint64 // of all groups; an epoch that a border cuts is shared out by time
	New        int    // calls that the program used for the first time
	Marks      int    // marks, forks and exits left out
	Gap        bool   // some of it was not recorded
}
