package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"speaker/apply"
	"speaker/policy"
	"speaker/trace"
	"speaker/trace/target"
)

// HoldRunning puts a hold of a policy on a target that runs, with no restart. before gets
// the checks that refuse nothing. What comes back is as with apply.HoldRunning.
func (b *Bench) HoldRunning(ctx context.Context, ref string, p policy.Policy, before func([]apply.Check)) (*apply.Hold, apply.Report, apply.Proof, error) {
	fail := func(err error) (*apply.Hold, apply.Report, apply.Proof, error) {
		return nil, apply.Report{}, apply.Proof{}, err
	}
	if b.opt.ReadOnly {
		return fail(ErrReadOnly)
	}
	t, err := b.resolve(ctx, ref)
	if err != nil {
		return fail(err)
	}
	if t.Pid == 0 {
		return fail(fmt.Errorf("%s is not running", t.Ref()))
	}
	checks := apply.Preflight(t.Pids, p, apply.ModeHoldRunning)
	if err := apply.Refusal(checks); err != nil {
		return fail(err)
	}
	before(checks)
	return apply.HoldRunning(ctx, holdName(t), runningOf(t, t.Pids), p)
}

// HoldRunning implements Work.
func (w *live) HoldRunning(ctx context.Context) (apply.Report, apply.Proof, error) {
	fail := func(err error) (apply.Report, apply.Proof, error) { return apply.Report{}, apply.Proof{}, err }
	if err := w.changeable(); err != nil {
		return fail(err)
	}
	p, err := w.decided()
	if err != nil {
		return fail(err)
	}
	w.mu.Lock()
	t := w.target
	w.mu.Unlock()
	if err := w.tracer.WatchDenials(true); err != nil {
		w.problem("denials cannot be watched: " + err.Error())
	}
	defer w.switching()()
	w.tried("hold", nil, fmt.Sprintf("begun on what runs: %d calls are let through, all others asked", p.Narrow().Len()))
	h, report, proof, err := apply.HoldRunning(ctx, holdName(t), runningOf(t, w.pids), p)
	w.tried("hold", err, fmt.Sprintf("%d processes, %d passes; %s", report.Processes, report.Passes, verdict(proof)))
	if h != nil {
		w.mu.Lock()
		w.hold, w.start, w.narrow, w.holdSet, w.applied = h, p.RunningSpec(), p.NarrowSpec(), p, HoldOpen
		w.mu.Unlock()
	}
	return report, w.scope(proof), err
}

// runningOf is a target as a hold takes it that is put on it while it runs.
func runningOf(t target.Target, pids func() ([]int, error)) apply.Running {
	r := apply.Running{Label: t.Name, Cgroup: t.CgroupPath, Pid: t.Pid, Pids: pids}
	if t.Engine == "process" {
		r.Cgroup = ""
	}
	if itemOf(t).Container() {
		r.Entries = &trace.EntriesConfig{CgroupPath: t.CgroupPath, SameMountNS: t.SameMountNS}
	}
	return r
}

// holdName is what a hold is called that is put on a target: by its id a container's, as
// one that it is booted under.
func holdName(t target.Target) string {
	switch {
	case itemOf(t).Container():
		return t.ID
	case t.Engine == "process":
		return fmt.Sprintf("process-%d", t.Pid)
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, strings.TrimLeft(filepath.Base(t.CgroupPath), "."))
	return name[:min(len(name), 80)]
}
