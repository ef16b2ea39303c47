package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"speaker/apply/injector"
	"speaker/apply/keeper"
	"speaker/policy"
	"speaker/trace"
)

// Running is a target that runs.
type Running struct {
	Label  string // what people call it; hostile bytes
	Cgroup string // that it is in; "": it is a process with all that descends from it
	Pid    int    // its first process
	// Entries says who is caught that comes in from outside (docker exec, probes), see
	// Hold.Late; nil: nobody.
	Entries *trace.EntriesConfig
	Pids    func() ([]int, error)
}

// HoldRunning puts a hold on a target that runs, with no restart: policy.RunningSpec's
// filter goes into each of its processes, whose threads are all stopped for about a
// millisecond. A keeper answers for each before it goes on, and lets everything through
// until Deny or Ask; and again after Allow. What stays of a hold that is undone is that
// filter, through which removed calls take some microseconds more, and no_new_privs where
// the kernel asked for it.
//
// What the checks of ModeHoldRunning speak against is refused, and nothing is done. An
// error with a Hold says that it is in place, but not in every process (ErrIncomplete), or
// not proved, or not to be relied on: it can be switched all the same, and HoldRunning
// with the same name and policy serves what is missing. One whose keeper was killed is
// taken up again in that way, too: the newest filter that asks is heard.
func HoldRunning(ctx context.Context, name string, t Running, p policy.Policy) (*Hold, Report, Proof, error) {
	fail := func(err error) (*Hold, Report, Proof, error) {
		return nil, Report{}, Proof{}, fmt.Errorf("hold: nothing was done: %w", err)
	}
	if err := Refusal(Preflight(t.Pids, p, ModeHoldRunning)); err != nil {
		return fail(err)
	}
	if err := findRing(ctx, t.Pids); err != nil {
		return fail(err)
	}
	c, err := runningConfig(name, t, p)
	if err != nil {
		return fail(err)
	}
	client, r, err := hold(ctx, c, t.Pids)
	if err != nil && !reportOf(r).Applied() {
		return fail(err)
	}
	h, report := &Hold{client: client, NewPriv: r.NoNewPrivs > 0}, reportOf(r)
	if err == nil && len(report.Failed) > 0 {
		err = fmt.Errorf("%w: %w", ErrIncomplete, report.Failed[0])
	}
	if err != nil {
		return h, report, Proof{}, fmt.Errorf("hold: %w", err)
	}
	if err := findRing(context.WithoutCancel(ctx), t.Pids); err != nil {
		return h, report, Proof{}, fmt.Errorf("hold: it is in place, but not to be relied on: %w", err)
	}
	proof, err := Prove(ctx, t.Pids, p.RunningSpec())
	if err == nil && !proof.OK {
		err = errors.New("it is in place, but the proof failed")
	}
	if err != nil {
		err = fmt.Errorf("hold: %w", err)
	}
	return h, report, proof, err
}

// runningConfig is what the keeper of a target that runs is told.
func runningConfig(name string, t Running, p policy.Policy) (keeper.Config, error) {
	c, err := configWith(name, p, p.RunningSpec())
	c.Label, c.Cgroup, c.Pid, c.Runs = t.Label, t.Cgroup, t.Pid, true
	c.Entries, c.Late, c.LateBootInsns = t.Entries, keeper.LateBoot, c.Insns
	return c, err
}

// hold starts a keeper, or has the one that is there serve what is missing.
func hold(ctx context.Context, c keeper.Config, pids func() ([]int, error)) (keeper.Client, injector.Report, error) {
	if i, err := findHold(c.Name); err == nil && i.Alive {
		if !bytes.Equal(i.specs.Start, c.Start) {
			return keeper.Client{}, injector.Report{}, errors.New("it is held already, under other sets: seal that, or start the target anew")
		}
		client, err := keeper.Attach(keeperDir, c.Name)
		if err != nil {
			return client, injector.Report{}, err
		}
		r, err := client.Inject()
		return client, r, err
	}
	client, r, err := keeper.StartRunning(ctx, c)
	if err == nil || !r.Unsure || ctx.Err() != nil {
		return client, r, err
	}
	// The keeper was killed. If that was before the first filter, nothing stands there.
	if has, looked := anyHas(pids, c.Insns); looked == nil && !has {
		keeper.Forget(c.Dir, c.Name)
		r.Unsure = false
	}
	return client, r, err
}

// findHold finds a hold by its name.
func findHold(name string) (HoldInfo, error) {
	all, err := FindHolds()
	if err != nil {
		return HoldInfo{}, err
	}
	i := slices.IndexFunc(all, func(h HoldInfo) bool { return h.Name == name })
	if i < 0 {
		return HoldInfo{}, ErrEnded
	}
	return all[i], nil
}

// anyHas says whether any thread of a target has a filter.
func anyHas(pids func() ([]int, error), f []unix.SockFilter) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), foreseeWithin)
	defer cancel()
	d, err := injector.DumpAll(ctx, pids)
	if err == nil && len(d.Failed) > 0 {
		err = errors.New(d.Failed[0].Text)
	}
	return slices.ContainsFunc(d.Filters, func(g []unix.SockFilter) bool { return slices.Equal(f, g) }), err
}

// specJSON writes a spec for a keeper.
func specJSON(s policy.Spec) (json.RawMessage, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	return b, nil
}
