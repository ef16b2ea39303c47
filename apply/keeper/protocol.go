package keeper

import (
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/injector"
	"speaker/policy"
	"speaker/trace"
)

// Word is the argument that makes our binary a keeper; main dispatches it to Main.
const Word = "_keeper"

// DefaultDir is where keepers have their sockets.
const DefaultDir = "/run/speaker"

// Mode is what a hold answers to notified calls.
type Mode string

// The modes. Boot and Allow let them through and differ in what went before.
const (
	Boot   Mode = "boot"
	Deny   Mode = "deny"
	Ask    Mode = "ask" // each is asked about, for AskWithin at most
	Allow  Mode = "allow"
	Sealed Mode = "sealed"
)

// Config is what a keeper is told at its start.
type Config struct {
	Dir     string // of the socket
	Name    string // of the hold; a file name
	Label   string // what people call the target, where that is another name; hostile bytes
	Pid     int    // waits to exec the program; 0: it comes in from outside, see Entries
	Cgroup  string // that the target is in; "" for none
	Own     bool   // the cgroup goes with the target
	Runs    bool   // it runs already: all in the cgroup, or without one all that descend from Pid
	Insns   []unix.SockFilter
	Denials []Answer
	Specs

	// Entries says whose program, and who later, is caught when it comes in from
	// outside; nil: nobody. Late ones get the filter that Late chooses.
	Entries                    *trace.EntriesConfig
	LateBootInsns, NarrowInsns []unix.SockFilter
	Late                       Choice
}

// Specs are kept for whoever proves or seals the hold later: a policy.Spec of
// its start filter, and one of the run filter.
type Specs struct{ Start, Narrow json.RawMessage }

// Answer is the error that a denied call gets; EPERM for those without one.
type Answer struct {
	Arch, Nr uint32
	Errno    int32
	// Looks are the arguments for which the call is denied, where run allows it with
	// others.
	Looks []policy.Look `json:",omitempty"`
}

// Status is what a keeper knows.
type Status struct {
	Name     string
	Label    string // what people call the target, where that is another name; hostile bytes
	Pid      int    // of the program
	Keeper   int    // pid of the keeper
	Mode     Mode   // boot, deny, allow or sealed
	Notified uint64
	Denied   uint64
	ByCall   []CallCount // most frequent first
	Alive    bool        // some process of the target lives
	Ears     int         // listeners that are answered for: one for each process that got the filter by itself
	Since    time.Time   // of the mode
	Until    time.Time   // removed calls are allowed again then, unless that is kept; zero: they are not
	Watchdog bool        // it undoes a denial that goes badly
	Health   Healthy     // what it asks for that, besides
	Rules    []Rule
	Asked    []Question  // the oldest first
	Late     *LateStatus // nil: nobody comes in later
	Why      string      // the keeper itself entered the mode, for this reason; "": somebody told it to
}

// CallCount counts a notified call of one process.
type CallCount struct {
	Call  policy.Call
	When  []policy.Condition `json:",omitempty"` // its arguments, where run allows it with others
	Pid   int
	Comm  string // hostile bytes
	Count uint64
	Last  time.Time
}

// progress is what a starting keeper says to who started it.
type progress struct {
	Ready, Held bool
	Pid         int // held: of the program
	NoNewPrivs  bool
	Report      injector.Report // of a target that ran already
	Err         string
}

// request and reply are one line of JSON each.
type request struct {
	Op     string        // "status", "deny", "ask", "answer", "rule", "keep", "allow", "watch", "unwatch", "health", "narrow", "sealed", "end", "exec", "leave", "inject"
	Within time.Duration `json:",omitempty"` // deny, ask: to be kept within; 0: for good

	Asking  Asking  `json:",omitzero"`  // ask
	ID      int     `json:",omitempty"` // answer: to this question
	Verdict Verdict `json:",omitempty"`
	Errno   int32   `json:",omitempty"` // of a denial; 0: the policy's
	Rule    *Rule   `json:",omitempty"`
	Forget  bool    `json:",omitempty"` // take the rule back
	Late    Choice  `json:",omitempty"` // exec
	Health  Health  `json:",omitzero"`
}

type reply struct {
	Err    string          `json:",omitempty"`
	Status Status          `json:",omitzero"`
	Narrow json.RawMessage `json:",omitempty"`
	Report injector.Report `json:",omitzero"` // inject
}
