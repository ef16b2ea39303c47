// Package bench is the workbench without a screen: it lists targets, watches
// one, keeps its session, tests and applies its policy. The screen and the
// headless commands drive the same calls, so what one can do the other can.
//
// Nothing here draws, and the screen touches the kernel only through here.
package bench

import (
	"context"
	"time"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
	"speaker/trace"
	"speaker/trace/target"
)

// Item is one target that can be picked. Its strings come from engines and
// containers: they are hostile bytes until the screen has cleaned them.
type Item struct {
	Ref       string // what Watch takes: "docker:web", "demo", "pid:1", "cgroup:/path"
	Engine    string // "docker", "podman", "cri", "demo", "process", "cgroup", …
	ID        string
	Namespace string // Kubernetes' or containerd's
	Name      string
	Image     string
	Command   string
	State     string // "running", "exited", …
	Pid       int    // its first process; 0 when not running, or not known
	Created   time.Time
	Cgroup    string        // its directory; "" when not running
	Facts     *target.Facts // nil when not running, or not known
	CanBoot   bool          // it can be booted again, with the tracer armed before its first call
}

// Backend finds targets and opens work on them.
type Backend interface {
	// Targets lists what can be picked. Problems are one-line sentences (an
	// engine that cannot be reached) and never hide the items that were found.
	Targets(ctx context.Context) (items []Item, problems []string)
	// Watch starts watching a running target, or with boot boots it again
	// with the tracer armed before its first call.
	Watch(ctx context.Context, ref string, boot bool) (Work, error)
}

// Mode is what the work is connected to.
type Mode string

// The modes.
const (
	Live Mode = "live" // the target is watched now
	File Mode = "file" // a saved session: no target, nothing to test live or apply
)

// Applied is what stands on the target now.
type Applied string

// The states of an apply.
const (
	Nothing  Applied = "nothing"
	HoldBoot Applied = "hold: boot (all allowed)"
	HoldDeny Applied = "hold: run (removed calls denied)"
	HoldAsk  Applied = "hold: run (removed calls asked)"
	HoldOpen Applied = "hold: undone (all allowed)"
	Bereft   Applied = "keeper killed (removed calls fail, ENOSYS)" // a hold that nobody answers for
	Sealed   Applied = "sealed"
	Injected Applied = "injected"
)

// State is what the status bar and the apply pane show. It is a copy.
type State struct {
	Mode      Mode
	Item      Item
	Phase     policy.Phase  // Boot or Run: which side of the current split "now" lies on, Admin while a reload is marked; Stop after the target ended
	Elapsed   time.Duration // since the recording began, or its length for a file
	Rate      float64       // calls a second
	Lost      trace.Lost
	Recording string // path of the session file; "" when not on disk
	Unsaved   bool   // what the user decided is in memory only
	RecordErr string // why the session file is not being written ("" when it is)
	Again     int    // it has ended, and runs again as this process: somebody else started it
	Recorded  bool   // that life is recorded since its first call
	Ended     bool   // the target's last process is gone, or the work is closed
	Ends      bool   // closing the work ends the target
	Applied   Applied
	// FiltersBefore is how many seccomp filters were on the target's processes
	// when the watching began, on that with the most: an engine's profile, or
	// what was applied before and is not known of here.
	FiltersBefore int
	InPlace       *policy.Policy // what the filter in place was compiled from; nil while nothing is applied
	AutoDeny      bool           // hold: the split will be crossed by itself when the evidence is there
	Hold          *apply.Status
	DryRun        bool
	ByProcess     bool // calls are counted per process too
	// Dry run: what was called since it began and the run set of now does not
	// have, by call and process. Joined is what it did not have and has by now,
	// because it was seen in run, or by an edit.
	WouldDeny, Joined []trace.ProcRow
	// WouldRefuse are those that the run set has, with arguments that the conditions on
	// them refuse, and Unsure says what of that the dry run cannot tell.
	WouldRefuse []Refused
	Unsure      []string
	Denied      []trace.ProcRow // calls that seccomp refused since something was applied
	Load        string          // the demo's request load in words: "demo load: 1203 answered, 0 failed"
	Problems    []string        // sentences: what went wrong lately, newest last
	Probes      []string        // the readiness probes that are named
}

// Work is one open target or file. All methods may be called from any
// goroutine. Those with a context may take seconds; the others return at once.
type Work interface {
	Session() *session.Session
	State() State

	// SetSplit moves the split by hand; Accept takes the current proposal
	// and fails with the reason when there is none. stop sets the stop mark (0: none).
	SetSplit(at, stop time.Duration) error
	Accept() error
	// Ready names readiness probes (see ready.Parse) in place of those before, none
	// to ask no longer. What comes of them is in the marks, and the proposal rests
	// on it.
	Ready(probes []string) error
	// Pin has a rule place the split, see session.Rule: now, or when what it waits
	// for happens. The next boot is split by the same rule.
	Pin(rule string) error
	// UndoSplit goes back to the split before, or to none; RedoSplit forth again.
	UndoSplit() error
	RedoSplit() error
	// Mark adds a mark of the user's at the present time.
	Mark(text string) error
	Edit(policy.Edit) error
	// ChangeAdmin marks reloads and the like, see session.Admin; UndoEdit takes
	// the change back.
	ChangeAdmin(session.AdminChange) error
	UndoEdit() error
	RedoEdit() error

	// DryRun switches the live judging against the run set; nothing is denied.
	DryRun(on bool) error
	// WatchProcesses switches counting per process: who called what.
	WatchProcesses(on bool) error
	// Preflight lists what speaks for and against an apply, without doing it.
	Preflight(ctx context.Context, m apply.Mode) []apply.Check
	// Hold boots the target again under the two-phase filter: all allowed until the split is crossed by CrossSplit or, with
	// auto, by itself once the split's evidence shows. Like Reboot it returns
	// the new work and closes this one; the new one carries on with what this
	// one learned. When it fails this one stays open, with its target ended if it
	// came to that; but a container that was booted again and could not be held
	// runs as it would have, and the new work comes with ErrNotHeld.
	Hold(ctx context.Context, auto bool) (Work, error)
	// HoldRunning puts a hold on the running target, with no restart, and proves it.
	// Everything is let through until CrossSplit or AskSplit. An error may come with
	// a hold in place: State tells.
	HoldRunning(ctx context.Context) (apply.Report, apply.Proof, error)
	// CrossSplit has removed calls denied from now on; reversible. Unless KeepHold
	// is called within the time, the hold's keeper undoes it by itself, whatever
	// became of us; 0: it does not.
	CrossSplit(within time.Duration) error
	KeepHold() error
	// AskSplit is CrossSplit, but that the removed calls wait for an answer:
	// State.Hold.Asked. What Answer allows from now on becomes an edit.
	AskSplit(within time.Duration, a apply.Asking) error
	Answer(q apply.Question, v apply.Verdict, errno int32) error // errno of a denial; 0: the policy's
	// Rule allows or denies one call of a hold, in all processes or in one, or with
	// forget takes that back.
	Rule(r apply.Rule, forget bool) error
	// Late chooses what becomes of who comes into a held container later.
	Late(c apply.LateChoice) error
	// Guard switches the keeper's watchdog, which undoes what goes badly.
	Guard(on bool) error
	UndoHold() error // removed calls are allowed again
	// Seal makes a hold permanent and proves it.
	Seal(ctx context.Context) (apply.Proof, error)
	// Inject puts the run filter into the running target, permanently, and proves it.
	Inject(ctx context.Context) (apply.Report, apply.Proof, error)
	Prove(ctx context.Context) (apply.Proof, error)

	// Reload makes the demo's administrative request; ErrNotDemo elsewhere.
	Reload() (string, error)

	// SaveAs writes the whole session into a new file; Export the policy (in one of
	// export.Formats; phase Boot: the wide filter, Run: the narrow one), with what
	// the format cannot say. Neither overwrites.
	SaveAs(path string) error
	Export(path, format string, phase policy.Phase) (notes []string, err error)

	// WatchAgain goes over to the life of a container that has ended and that
	// somebody else started again (State.Again): to its recording, if it has one
	// (State.Recorded), else to a new one, of what it calls from now on. The work
	// ends and the new one is returned.
	WatchAgain(ctx context.Context) (Work, error)
	// Reboot starts a new recording of the same target from its first call,
	// with nothing applied and nothing learned; the edits are carried over.
	// What becomes of this work is as with Hold.
	Reboot(ctx context.Context) (Work, error)
	// Close ends the watching, and the session file. A target that was started
	// here (the demo, a command) and that nothing is applied to is ended, see
	// State.Ends; anything else lives on. Nothing can be decided afterwards.
	Close() error
}
