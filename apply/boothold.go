package apply

import (
	"context"
	"fmt"
	"slices"

	"speaker/apply/keeper"
	"speaker/policy"
	"speaker/trace"
)

// Booting is a container that is about to be started by its engine.
type Booting struct {
	Label      string       // what people call it
	Arm        []string     // leaf names that its cgroup may get
	Controller string       // of the v1 hierarchy that it is made in; "": v2
	Start      func() error // has the engine start it, or start it again; nil: somebody will
}

// BootHold is StartHold for a container: its program is caught when the engine has
// started it, at the exec by which the container's runtime becomes it. Nothing of the
// container's configuration is changed: the next start of it without us is as ever.
//
// From then on whoever comes into it (docker exec, probes) is caught, too, see
// Hold.Late; and when it is started again, by whomever, it is held again, in boot,
// until Leave.
//
// When it fails after Start, the container runs as it would have without us.
func BootHold(ctx context.Context, name string, b Booting, p policy.Policy) (*Hold, error) {
	c, err := configOf(name, p)
	if err != nil {
		return nil, fmt.Errorf("boot under a hold: %w", err)
	}
	c.Label, c.Late = b.Label, LateBoot
	c.Entries = &trace.EntriesConfig{Arm: b.Arm, Controller: b.Controller}
	client, nnp, err := keeper.Start(ctx, c, b.Start)
	if err != nil {
		return nil, fmt.Errorf("boot under a hold: %w", err)
	}
	return &Hold{client: client, NewPriv: nnp}, nil
}

// LateChoice is what becomes of processes that come into a held container from outside.
type LateChoice = keeper.Choice

// The choices. What came in before a change is not ended: by LateBoot what boot alone
// needs is let through to it, by the others denied, where it has a listener.
const (
	LateBoot   = keeper.LateBoot   // the start filter; what boot alone needs is let through, whatever the mode
	LateRun    = keeper.LateRun    // the run filter, without a listener
	LateRefuse = keeper.LateRefuse // the exec fails, with EPERM
)

// LateStatus is what a keeper knows of those who came in.
type LateStatus = keeper.LateStatus

// Without leaves those out of a target's processes that came in later, and what they
// started: they have another filter. l may be nil.
func Without(l *LateStatus, pids func() ([]int, error)) func() ([]int, error) {
	if l == nil || len(l.Pids) == 0 {
		return pids
	}
	came := func(pid int) bool { return slices.Contains(l.Pids, pid) }
	return func() ([]int, error) {
		list, err := pids()
		return slices.DeleteFunc(list, func(pid int) bool { return slices.ContainsFunc(keeper.Line(pid), came) }), err
	}
}

// AgainWithin is how long a keeper waits for a container that has ended to be started again.
const AgainWithin = keeper.AgainWithin

// ErrNobodyComes is the answer of Late and Leave for a target into which nobody comes.
var ErrNobodyComes = keeper.ErrNobodyComes

// Late chooses what becomes of who comes in from now on.
func (h *Hold) Late(c LateChoice) error { return h.client.Late(c) }

// Leave ends the catching: who comes in later, and the next life of the container, run
// as they would without us. What is in place stays.
func (h *Hold) Leave() error { return h.client.Leave() }
