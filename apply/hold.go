package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/keeper"
	"speaker/policy"
)

// Status is what the keeper of a hold knows. Its Mode is "boot" or "allow"
// (removed calls are let through), "deny" or "sealed".
type Status = keeper.Status

// CallCount counts a notified call of one process.
type CallCount = keeper.CallCount

// JournalEntry is something that a hold's keeper did.
type JournalEntry = keeper.Entry

// MaxWithin is the longest that DenyFor takes.
const MaxWithin = keeper.MaxWithin

// What the watchdog undoes a denial for.
const (
	StormRate   = keeper.StormRate
	DyingTime   = keeper.DyingTime
	HealthEvery = keeper.HealthEvery
	HealthFails = keeper.HealthFails
)

// HoldJournal reads what the keeper of a hold did, in the order of time. It is kept
// for some days after the hold's end.
func HoldJournal(name string) ([]JournalEntry, error) { return keeper.Journal(keeperDir, name) }

// Question is a removed call that waits for an answer, Rule a standing one, and Health
// what a target has to answer meanwhile.
type (
	Question = keeper.Question
	Asking   = keeper.Asking
	Rule     = keeper.Rule
	Health   = keeper.Health
	Verdict  = keeper.Verdict
)

// The verdicts on a question.
const (
	AllowOnce = keeper.AllowOnce
	AllowGood = keeper.AllowGood
	DenyOnce  = keeper.DenyOnce
	DenyGood  = keeper.DenyGood
)

// AskWithin is how long a question waits, and MaxAsk how long it may.
const (
	AskWithin = keeper.AskWithin
	MaxAsk    = keeper.MaxAsk
)

// HoldInfo is a hold that was found.
type HoldInfo struct {
	Name   string
	Label  string // what people call the target, where that is another name; hostile bytes
	Pid    int    // of the program
	Cgroup string // of the target; "": not known
	Mode   keeper.Mode
	Alive  bool // its keeper answers; without it removed calls fail with ENOSYS, unless it is sealed
	// Silent is why a keeper that lives does not answer; "" when it does.
	Silent string
	specs  keeper.Specs
}

// Sealed says that the run filter is permanent, and that nobody has to answer.
func (i HoldInfo) Sealed() bool { return i.Mode == keeper.Sealed }

// Specs returns what the start filter and the run filter were compiled from.
func (i HoldInfo) Specs() (start, narrow policy.Spec, err error) {
	if start, err = specOf(i.specs.Start); err != nil {
		return start, narrow, err
	}
	narrow, err = specOf(i.specs.Narrow)
	return start, narrow, err
}

// Why a hold cannot be switched. Errors of Hold's methods and of Attach are
// these where that is so.
var (
	ErrSealed = keeper.ErrSealed
	ErrBereft = keeper.ErrBereft
	ErrEnded  = keeper.ErrEnded

	ErrNoQuestion    = keeper.ErrNoQuestion
	ErrNothingToKeep = keeper.ErrNothingToKeep
)

// Hold is a two-phase filter in place, with a keeper that answers for it. It
// holds nothing of ours: it may be dropped, and found again by Attach.
type Hold struct {
	client  keeper.Client
	NewPriv bool // no_new_privs had to be set at the start
}

// Waiting is a process that is about to exec a program.
type Waiting struct {
	Pid     int
	Release func() error // lets it go
	Cgroup  string       // it is in this one with all that it will start; "": it will start nothing
}

// StartHold puts p's start filter into the program that w is about to exec,
// before its first instruction; w is released once its exec cannot be missed.
// Calls that boot alone needs are let through by the keeper until Deny. name
// (letters, digits, '.', '_', '-') finds the hold again. The keeper removes the
// cgroup when the target has ended.
//
// On an error before the release the process still waits, on one after it the
// program may run without the filter: the caller ends it.
func StartHold(ctx context.Context, name string, w Waiting, p policy.Policy) (*Hold, error) {
	c, err := configOf(name, p)
	if err != nil {
		return nil, fmt.Errorf("start hold: %w", err)
	}
	c.Pid, c.Cgroup, c.Own = w.Pid, w.Cgroup, true
	client, nnp, err := keeper.Start(ctx, c, w.Release)
	if err != nil {
		return nil, fmt.Errorf("start hold: %w", err)
	}
	return &Hold{client: client, NewPriv: nnp}, nil
}

// configOf is what a keeper is told of a policy whose start filter is put in at a start.
func configOf(name string, p policy.Policy) (keeper.Config, error) {
	return configWith(name, p, p.StartSpec())
}

func configWith(name string, p policy.Policy, spec policy.Spec) (keeper.Config, error) {
	c := keeper.Config{Dir: keeperDir, Name: name, Denials: denials(p, spec)}
	start, err := policy.Compile(spec)
	if err != nil {
		return c, err
	}
	narrow, err := policy.Compile(p.NarrowSpec())
	if err != nil {
		return c, err
	}
	later, err := policy.Compile(p.LateSpec())
	if err != nil {
		return c, err
	}
	c.Insns, c.LateBootInsns, c.NarrowInsns = start.Insns, later.Insns, narrow.Insns
	if c.Start, err = specJSON(spec); err == nil {
		c.Narrow, err = specJSON(p.NarrowSpec())
	}
	return c, err
}

// denials are the errors that a removed call gets in the deny mode: those that
// it will get from the seal, or the keeper's own where the seal will kill: a listener
// cannot. EPERM needs no word.
func denials(p policy.Policy, start policy.Spec) []keeper.Answer {
	narrow := p.NarrowSpec()
	conditional := start.Conditional()
	var out []keeper.Answer
	for _, c := range everyCall() {
		if start.Want(c) != policy.ActNotify && !conditional.Has(c) {
			continue
		}
		e, looks := narrow.Want(c).Errno(), narrow.Looks(c)
		if e != 0 && e != unix.EPERM || len(looks) > 0 {
			out = append(out, keeper.Answer{Arch: c.ABI.AuditArch(), Nr: c.Register(), Errno: int32(e), Looks: looks})
		}
	}
	return out
}

// FindHolds lists the holds in place on this host, sealed ones included. It needs
// root.
func FindHolds() ([]HoldInfo, error) {
	found, err := keeper.Find(keeperDir)
	if err != nil {
		return nil, err
	}
	var out []HoldInfo
	for _, f := range found {
		out = append(out, HoldInfo{Name: f.Status.Name, Label: f.Status.Label, Pid: f.Status.Pid, Cgroup: f.Cgroup, Mode: f.Status.Mode,
			Alive: !f.Dead && f.Status.Mode != keeper.Sealed, Silent: f.Silent, specs: f.Specs})
	}
	return out, nil
}

// Attach takes up a hold that is in place and has its keeper.
func Attach(name string) (*Hold, error) {
	c, err := keeper.Attach(keeperDir, name)
	if err != nil {
		return nil, err
	}
	return &Hold{client: c}, nil
}

// Status asks the keeper how things stand.
func (h *Hold) Status() (Status, error) { return h.client.Status() }

// Deny makes removed calls fail, at once and for the whole target.
func (h *Hold) Deny() error { return h.client.Deny(0) }

// DenyFor is Deny for a time: the keeper allows removed calls again when it is
// over, whatever became of us, unless Keep is called by then. 0 is for good.
func (h *Hold) DenyFor(within time.Duration) error { return h.client.Deny(within) }

// AskFor has removed calls wait for an answer (Status.Asked), as long as a says: the
// keeper answers by it what nobody else does by then, and lets no more of the same
// wait. within is as with DenyFor.
func (h *Hold) AskFor(within time.Duration, a Asking) error { return h.client.Ask(within, a) }

// Answer gives the verdict on a question; errno is that of a denial, 0 for the one
// of the policy. It is ErrNoQuestion when that waits no more.
func (h *Hold) Answer(id int, v Verdict, errno int32) error { return h.client.Answer(id, v, errno) }

// Rule answers one call, in all processes or in one, whatever is said of the rest,
// or with forget takes that back. A seal cannot keep what is allowed so, and is
// refused. An undo, and Allow, take back what rules deny.
func (h *Hold) Rule(r Rule, forget bool) error { return h.client.Rule(r, forget) }

// Keep makes a DenyFor one for good. It is ErrNothingToKeep where there is none.
func (h *Hold) Keep() error { return h.client.Keep() }

// Guard switches the watchdog of the keeper, which is on at the start: it undoes a
// denial by itself when one call of a process is denied StormRate times within a
// second, or when a process dies within DyingTime of the crossing. Status.Why says
// so then.
func (h *Hold) Guard(on bool) error { return h.client.Guard(on) }

// WatchHealth names probes (see ready.Parse) that the target has to answer while
// removed calls are denied; the watchdog undoes that when they fail HealthFails times
// in a row, one each HealthEvery. Those that fail already are refused, and so are those
// that tell of the start alone.
func (h *Hold) WatchHealth(x Health) error { return h.client.Health(x) }

// Allow lets removed calls through again.
func (h *Hold) Allow() error { return h.client.Allow() }

// End waits for the keeper of a target that is gone to leave; that it has left
// already is no error. While the target lives it refuses: removed calls would
// turn from held to failing.
func (h *Hold) End() error {
	ctx, cancel := context.WithTimeout(context.Background(), keeperLeaves)
	defer cancel()
	return h.client.End(ctx)
}

// ErrNotProved says that a seal's proof failed; the keeper stays in place.
var ErrNotProved = errors.New("the proof failed, so the keeper stays; the removed calls are denied and can be allowed again where the filter is not in place")

// Seal makes the run filter permanent: it is stacked on every process, proved,
// and then the keeper closes the listener and leaves. Removed calls are denied
// from the beginning of it. On a failure the listener stays. What the checks of
// ModeSeal speak against is refused with their reasons, and nothing changes.
func (h *Hold) Seal(ctx context.Context, pids func() ([]int, error)) (Report, Proof, error) {
	spec, err := h.Narrow()
	if err != nil {
		return Report{}, Proof{}, fmt.Errorf("seal: %w", err)
	}
	if err := Refusal(Preflight(pids, PolicyOf(spec), ModeSeal)); err != nil {
		return Report{}, Proof{}, fmt.Errorf("seal: %w", err)
	}
	if err := h.unruled(); err != nil {
		return Report{}, Proof{}, fmt.Errorf("seal: %w", err)
	}
	f, err := policy.Compile(spec)
	if err != nil {
		return Report{}, Proof{}, fmt.Errorf("seal: %w", err)
	}
	if err := h.Deny(); err != nil {
		return Report{}, Proof{}, fmt.Errorf("seal: %w", err)
	}
	r, err := Inject(ctx, pids, f)
	if err != nil {
		return r, Proof{}, fmt.Errorf("seal: %w", err)
	}
	proof, err := Prove(ctx, pids, spec)
	if err != nil {
		return r, proof, fmt.Errorf("seal: %w", err)
	}
	if !proof.OK {
		return r, proof, fmt.Errorf("seal: %w", ErrNotProved)
	}
	ctx, cancel := context.WithTimeout(ctx, keeperLeaves)
	defer cancel()
	if err := h.client.Sealed(ctx); err != nil {
		return r, proof, fmt.Errorf("seal: the filter is in place, but the listener is not closed: %w", err)
	}
	return r, proof, nil
}

// unruled refuses a seal while a rule allows something: the keeper alone lets that
// through, and it leaves.
func (h *Hold) unruled() error {
	st, err := h.Status()
	if err != nil {
		return err
	}
	for _, r := range st.Rules {
		if r.Allow {
			return fmt.Errorf("%s by hand, which ends with the keeper: deny it again, or boot the target anew under sets that allow it", r)
		}
	}
	return nil
}

// Narrow returns the run filter's spec as the keeper was told it at the start.
func (h *Hold) Narrow() (policy.Spec, error) {
	b, err := h.client.Narrow()
	if err != nil {
		return policy.Spec{}, err
	}
	return specOf(b)
}

func specOf(b json.RawMessage) (policy.Spec, error) {
	var s policy.Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read the keeper's policy: %w", err)
	}
	return s, nil
}

// PolicyOf is a policy whose run filter is spec's. What boot needs beyond it, and
// why anything is allowed, is not known.
func PolicyOf(spec policy.Spec) policy.Policy {
	var edits []policy.Edit
	allowed := spec.Allow.Union(spec.Conditional())
	for _, c := range allowed.Calls() {
		edits = append(edits, policy.Edit{Op: policy.OpAllow, Call: c, Phase: policy.Run})
	}
	p := policy.Derive(nil, edits)
	for _, c := range p.Narrow().Minus(allowed).Calls() { // essentials that were denied by hand
		edits = append(edits, policy.Edit{Op: policy.OpDeny, Call: c, Phase: policy.Run})
	}
	return policy.Derive(nil, edits).WithConditions(spec.When).WithAnswers(spec.Answers)
}
