package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"speaker/apply"
	"speaker/policy"
	"speaker/trace/target"
)

// standsOn reports whether a hold is one of this target. That of a container has its id
// for a name, which is found again when it lives in another cgroup.
func standsOn(h apply.HoldInfo, t target.Target) bool {
	if t.Engine == "process" {
		return h.Cgroup == "" && h.Pid == t.Pid
	}
	return h.Name == t.ID || t.CgroupPath != "" && (h.Cgroup == t.CgroupPath || h.Name == filepath.Base(t.CgroupPath))
}

// leaveHolds has the keepers of a container that is about to be booted let its next life
// alone: it is booted as it was, or under a hold of its own. What they deny is allowed
// from now on, for the stop.
func leaveHolds(t target.Target) error {
	holds, err := apply.FindHolds()
	if err != nil {
		return err
	}
	for _, h := range holds {
		if !standsOn(h, t) || !h.Alive {
			continue
		}
		hold, err := apply.Attach(h.Name)
		if err == nil {
			err = hold.Leave()
		}
		if err == nil {
			err = hold.Allow() // its stop may need what was removed
		}
		if err != nil && !errors.Is(err, apply.ErrNobodyComes) && !errors.Is(err, apply.ErrEnded) {
			return fmt.Errorf("the hold in place on %s cannot be ended: %w", t.Name, err)
		}
	}
	return nil
}

// FindHold finds the hold of that name, or on the container that is called so or whose
// id begins so, if there is one such.
func FindHold(name string) (apply.HoldInfo, error) {
	holds, err := apply.FindHolds()
	if err != nil {
		return apply.HoldInfo{}, err
	}
	for _, is := range []func(apply.HoldInfo) bool{
		func(h apply.HoldInfo) bool { return h.Name == name },
		func(h apply.HoldInfo) bool { return h.Label == name },
		func(h apply.HoldInfo) bool {
			return h.Label != "" && len(name) >= 4 && len(name) < len(h.Name) && h.Name[:len(name)] == name
		},
	} {
		found := slices.DeleteFunc(slices.Clone(holds), func(h apply.HoldInfo) bool { return !is(h) })
		if len(found) > 1 {
			return apply.HoldInfo{}, fmt.Errorf("%q is ambiguous: %d holds are of that name; speaker hold lists them by their own", name, len(found))
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return apply.HoldInfo{}, ErrNoHold
}

// ErrNoHold is the answer of FindHold where there is none.
var ErrNoHold = errors.New("no such hold is in place")

// BootHeld boots a container again under a hold of a policy, without recording it. before
// gets the checks that refuse nothing, and whether somebody else has to start it, for its
// engine cannot be told to from here: then it is waited for as long as ctx says.
func (b *Bench) BootHeld(ctx context.Context, ref string, p policy.Policy, before func(checks []apply.Check, awaits bool)) (*apply.Hold, error) {
	if b.opt.ReadOnly {
		return nil, ErrReadOnly
	}
	t, err := target.Find(b.hosts()).Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !itemOf(t).Container() {
		return nil, ErrNoBootHold
	}
	pids := noPids
	if t.Pid != 0 {
		pids = t.Pids
	}
	checks := apply.Preflight(pids, p, apply.ModeHold)
	if err := apply.Refusal(checks); err != nil {
		return nil, err
	}
	var start func() error
	if t.CanStart() {
		d, err := target.Find(b.hosts()).Starter(t)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		start = starting(ctx, d, t)
	}
	before(checks, start == nil)
	if err := leaveHolds(t); err != nil {
		return nil, err
	}
	return apply.BootHold(ctx, t.ID, b.booting(t, start), p)
}

// ErrNoBootHold is the answer for what is no container.
var ErrNoBootHold = errors.New("only a container can be booted under a hold so: a command is by speaker run -- COMMAND")
