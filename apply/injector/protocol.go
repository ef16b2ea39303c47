package injector

import (
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/ptrace"
)

// Fixed descriptors of the injector process.
const (
	controlFD = 3 // JSON both ways
	passFD    = 4 // hands out listeners
)

type op string

const (
	opInstall op = "install" // a filter into every process
	opDump    op = "dump"    // every filter of every thread
	opHold    op = "hold"    // a filter with a listener into every process
	opListen  op = "listen"  // a filter with a listener, at the next exec of one process
	opCatch   op = "catch"   // a filter into every program that comes into a target, at its exec
)

// request is the first message to the process; answers to its asking follow.
type request struct {
	Op        op                `json:",omitempty"`
	Pid       int               `json:",omitempty"`
	Insns     []unix.SockFilter `json:",omitempty"`
	Processes []ptrace.Process  `json:",omitempty"`
	Stop      bool              `json:",omitempty"` // nobody waits: begin nothing
	Catching  Catching          `json:",omitzero"`
	Late      Choice            `json:",omitempty"` // opCatch, later: from now on
}

// message is what the process says. Exactly one of Ask, Ready, Caught and Done is set.
type message struct {
	Ask    bool   `json:",omitempty"` // wants the list of processes
	Ready  bool   `json:",omitempty"` // opListen, opCatch: the exec will be caught
	Caught *Catch `json:",omitempty"` // opCatch
	Done   bool   `json:",omitempty"`
	Err    string `json:",omitempty"` // why nothing more was done
	Report Report // also with Ask: so far
	Dump   Dump
}

// Report tells how an installation went.
type Report struct {
	Processes  int             // that have the filter now
	Passes     int             // over the list of processes
	Died       int             // ended while they were worked on
	Stops      []time.Duration // per process: how long a thread did not run
	Failed     []Failure
	NoNewPrivs int // processes in which no_new_privs had to be set
	// Unsure says that more may have the filter than is told here: the injector
	// ended before it could tell, or a process was served in part.
	Unsure bool
}

// Failure is a process that could not be served, or a thread of it. The text
// says when some of its threads have the filter; else it runs on as it was.
type Failure struct {
	Pid  int
	Comm string // hostile bytes
	Text string
}

// Dump is every filter of every thread. Equal filters and equal chains are
// stored once.
type Dump struct {
	Filters [][]unix.SockFilter
	Chains  [][]int // indexes into Filters, oldest first
	Threads []Thread
	Failed  []Failure // threads, and processes, that could not be looked at
}

// Thread is one dumped thread.
type Thread struct {
	Pid, Tid int
	Comm     string // hostile bytes
	Chain    int    // index into Chains
}
