package trace

// ABI is the calling convention of a system call. The values equal those of
// policy.ABI; the two packages do not know each other.
type ABI uint8

// The ABIs. The tables have room for those of the processor that it runs on.
const (
	X86_64 ABI = iota
	I386
	X32
	ARM64
)

// Group is the part of a target that a call was made by. Time cuts Main further
// into boot, run and stop; that is the reader's business.
type Group uint8

// The groups of the kernel tables.
const (
	Init Group = iota // the container runtime's own calls, in a first start or a later exec
	Main              // the program and all that it starts
	Exec              // processes that entered later (docker exec, probes)
)

// abiOf is the ABI with an index of the kernel's tables.
func abiOf(i int) ABI { return abis[min(i, len(abis)-1)] }

// Row is the exact count of one call in one epoch. First and Last are
// CLOCK_MONOTONIC nanoseconds. First is exact. Last is never too early, and as a
// rule at most a Tick too late: it is the end of the tick of the last use, or First
// if there was one use. A tick is longer when this process has to wait for its turn.
// So a call that was used after T has Last > T, always; one that was not has
// Last <= T if T is itself a Last, or the end of an epoch.
type Row struct {
	Group       Group
	ABI         ABI
	Nr          uint32
	Count       uint64
	First, Last uint64
}

// Lost counts, since the tracer was opened, what was not seen. Table loss makes
// a recording incomplete; sample loss does not.
type Lost struct {
	Table          uint64 // calls that no table cell could take (recursion, number out of range)
	Unfollowed     uint64 // cgroups and processes of the target that a table had no room for: what they called later is missing
	SamplesDropped uint64 // samples that met a full ring buffer
	SamplesSkipped uint64 // samples left out on purpose, by the rate limit
	EventsDropped  uint64 // events that met a full ring buffer
	JudgedDropped  uint64 // calls whose per-process row met a full table
	ArgsDropped    uint64 // calls whose argument values met a full table
}

// Snapshot is one epoch: all calls between Start and End (CLOCK_MONOTONIC ns).
type Snapshot struct {
	Start, End uint64
	Rows       []Row
	Lost       Lost
}

// Sample is one event of the live stream, for eyes only.
type Sample struct {
	Time     uint64 // CLOCK_MONOTONIC ns
	Pid, Tid uint32 // in the host's pid namespace
	Group    Group
	ABI      ABI
	Nr       uint32
	Args     [6]uint64
	Comm     string // as the kernel has it: hostile bytes
	Path     string // for calls that take a path, as far as it could be read: hostile bytes
}

// EventKind says what an Event tells.
type EventKind uint8

// The kinds of events. Listen, Accept and Wait are told once per process and
// kind (Wait: epoll_wait, poll, select and their like), and so are UringNew to UID.
const (
	EventFork EventKind = iota + 1 // Pid forked; Args[0] is the child
	EventExec                      // Path is the program
	EventExit                      // Args[0] is the wait status (exit code << 8 | signal)
	EventListen
	EventAccept
	EventWait
	EventBind
	EventSeccomp    // a filter is being loaded by the target itself
	EventSignal     // Args[0] signal sent to Pid, Args[1] the sender's pid
	EventEnter      // Pid entered the target from outside; Args[0] is the mount namespace of who let it in, Args[1] is 1 after the program has begun
	EventLeave      // Pid left the target's cgroup
	EventUringNew   // io_uring_setup
	EventNoNewPrivs // Pid gave up gaining privileges by exec
	EventCaps       // Pid changed its capabilities, or gave one up for good
	EventUID        // Pid changes its user ids; Args are what it asked for
	EventFreeze     // the cgroup was frozen (Args[0] 1) or thawed (0); cgroup v2 only
)

// Event is a fact about a process of the target. Events come over a ring buffer
// of their own; what it could not take is counted in Lost.EventsDropped.
type Event struct {
	Time     uint64
	Kind     EventKind
	Pid, Tid uint32
	Group    Group
	Args     [2]uint64
	Comm     string
	Path     string
}

// ProcRow counts one call of one process: what Judge or Denials found.
type ProcRow struct {
	Pid         uint32
	Comm        string
	Group       Group // of the first of these calls
	ABI         ABI
	Nr          uint32
	Errno       int32 // Denials: the error the call got (0 for a kill); Judge: 0
	Count       uint64
	First, Last uint64
}

// ArgRow counts the calls that had certain values for the arguments that decide
// what the call is: flags of clone, clone3, unshare, open; domain and type of
// socket; option of prctl, request of ioctl, protection of mmap. N is how many of
// Values count. What clone3 and openat2 point to can be another value by the time
// that the kernel itself reads it.
type ArgRow struct {
	Group       Group
	ABI         ABI
	Nr          uint32
	N           int
	Values      [2]uint64
	Count       uint64
	First, Last uint64
}
