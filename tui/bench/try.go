package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
)

// plan is what a boot under the two-phase filter carries over from the
// recording that it was made from.
type plan struct {
	policy  policy.Policy
	learned policy.Observed
	edits   []policy.Edit
	auto    bool
}

// decided returns the policy at the current split, or ErrNoSplit.
func (d *desk) decided() (policy.Policy, error) {
	sp, ok := d.sess.Split()
	if !ok {
		return policy.Policy{}, ErrNoSplit
	}
	return d.sess.Policy(sp), nil
}

// DryRun implements Work.
func (w *live) DryRun(on bool) error {
	if !on {
		w.mu.Lock()
		w.dryRun, w.would, w.joined = false, nil, nil
		w.mu.Unlock()
		return w.tracer.Judge(nil)
	}
	p, err := w.decided()
	if err != nil {
		return err
	}
	narrow := p.Narrow()
	err = w.tracer.Judge(allowedBy(narrow))
	w.mu.Lock()
	w.dryRun, w.judged, w.would, w.joined = err == nil, narrow, nil, nil
	w.mu.Unlock()
	w.tried("dry-run", err, fmt.Sprintf("judging against %d calls", narrow.Len()))
	return err
}

// Preflight implements Work.
func (w *live) Preflight(_ context.Context, m apply.Mode) []apply.Check {
	p, err := w.decided()
	if m == apply.ModeSeal {
		p, err = w.held()
	}
	if err != nil {
		return []apply.Check{{ID: "split", Title: "a split", Found: "none", Why: "without it there is no run set",
			Remedy: err.Error(), Level: apply.Block}}
	}
	return apply.Preflight(w.pids, p, m)
}

// refuse returns the blocking checks as one error.
func refuse(checks []apply.Check) error {
	var why []string
	for _, c := range checks {
		if c.Level == apply.Block {
			why = append(why, fmt.Sprintf("%s: %s (%s)", c.Title, c.Found, c.Remedy))
		}
	}
	if why == nil {
		return nil
	}
	return errors.New("not applied: " + strings.Join(why, "; "))
}

// held returns the policy of the hold in place.
func (w *live) held() (policy.Policy, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hold == nil {
		return policy.Policy{}, errors.New("nothing is held: boot it under the two-phase filter first (H)")
	}
	return w.holdSet, nil
}

// Hold implements Work.
func (w *live) Hold(ctx context.Context, auto bool) (Work, error) {
	if w.starter == nil {
		return nil, ErrCannotRun
	}
	sp, ok := w.sess.Split()
	if !ok {
		return nil, ErrNoSplit
	}
	if err := refuse(apply.Preflight(noPids, w.sess.Policy(sp), apply.ModeHold)); err != nil {
		return nil, err
	}
	w.tried("hold", nil, "booting again under the two-phase filter")
	if err := w.endOwn(ctx); err != nil {
		return nil, err
	}
	w.handOver()
	// Only now is it known what a clean stop needs.
	sp, _ = w.sess.Split()
	return w.bench.bootOwn(ctx, w.starter, &plan{policy: w.sess.Policy(sp), learned: w.sess.Observed(sp),
		edits: w.sess.Edits(), auto: auto})
}

func noPids() ([]int, error) { return nil, nil }

// Reboot implements Work.
func (w *live) Reboot(ctx context.Context) (Work, error) {
	if w.starter == nil {
		ref := w.State().Item.Ref
		if !w.State().Item.CanBoot {
			return nil, errors.New("only containers of an engine, the demo and commands started here can be booted again")
		}
		w.handOver()
		return w.bench.Watch(ctx, ref, true)
	}
	if err := w.endOwn(ctx); err != nil {
		return nil, err
	}
	w.handOver()
	return w.bench.bootOwn(ctx, w.starter, nil)
}

// CrossSplit implements Work.
func (w *live) CrossSplit() error {
	err := w.switchHold("deny", HoldDeny, (*apply.Hold).Deny, "removed calls are denied now")
	if _, ok := w.sess.Split(); err == nil && !ok {
		w.sess.AddSplit(session.Split{At: w.sess.Length(), How: "where the hold began to deny", By: "user"})
	}
	return err
}

// UndoHold implements Work.
func (w *live) UndoHold() error {
	return w.switchHold("undo", HoldOpen, (*apply.Hold).Allow, "removed calls are allowed again")
}

func (w *live) switchHold(kind string, to Applied, do func(*apply.Hold) error, said string) error {
	w.mu.Lock()
	hold := w.hold
	w.autoDeny = false
	w.mu.Unlock()
	if hold == nil {
		return errors.New("nothing is held: boot it under the two-phase filter first (H)")
	}
	err := do(hold)
	w.tried(kind, err, said)
	if err == nil {
		w.setApplied(to)
	}
	return err
}

// Seal implements Work.
func (w *live) Seal(ctx context.Context) (apply.Proof, error) {
	p, err := w.held()
	if err != nil {
		return apply.Proof{}, err
	}
	if err := refuse(apply.Preflight(w.pids, p, apply.ModeSeal)); err != nil {
		return apply.Proof{}, err
	}
	w.mu.Lock()
	hold := w.hold
	w.mu.Unlock()
	_, proof, err := hold.Seal(ctx, w.pids)
	w.tried("seal", err, verdict(proof))
	if err == nil {
		w.setApplied(Sealed)
		w.setProved(p)
	}
	return proof, err
}

// Inject implements Work.
func (w *live) Inject(ctx context.Context) (apply.Report, apply.Proof, error) {
	p, err := w.decided()
	if err != nil {
		return apply.Report{}, apply.Proof{}, err
	}
	if err := refuse(apply.Preflight(w.pids, p, apply.ModeInject)); err != nil {
		return apply.Report{}, apply.Proof{}, err
	}
	f, err := policy.Compile(p.NarrowSpec())
	if err != nil {
		return apply.Report{}, apply.Proof{}, err
	}
	if err := w.tracer.WatchDenials(true); err != nil {
		w.problem("denials cannot be watched: " + err.Error())
	}
	// In the file before it is in the kernel: should this program die meanwhile,
	// the next one can say what was going on.
	w.tried("inject", nil, fmt.Sprintf("begun: %d calls stay allowed", p.Narrow().Len()))
	report, err := apply.Inject(ctx, w.pids, f)
	w.tried("inject", err, fmt.Sprintf("%d processes, %d passes", report.Processes, report.Passes))
	if report.Applied() {
		w.setApplied(Injected)
		w.setProved(p)
	}
	if err != nil {
		return report, apply.Proof{}, err
	}
	proof, err := w.Prove(ctx)
	return report, proof, err
}

// Prove implements Work.
func (w *live) Prove(ctx context.Context) (apply.Proof, error) {
	w.mu.Lock()
	p, applied := w.holdSet, w.applied
	w.mu.Unlock()
	var spec policy.Spec
	switch applied {
	case Nothing:
		return apply.Proof{}, errors.New("nothing is applied yet, so there is nothing to prove")
	case Sealed, Injected:
		spec = p.NarrowSpec()
	case HoldBoot, HoldDeny, HoldOpen:
		if w.adopted {
			return apply.Proof{}, errors.New("this hold was made by an earlier speaker, which alone knew all of its start filter; a seal is proved")
		}
		spec = p.StartSpec()
	}
	proof, err := apply.Prove(ctx, w.pids, spec)
	w.tried("prove", err, verdict(proof))
	return w.scope(proof), err
}

// verdict is a proof in a few words.
func verdict(p apply.Proof) string {
	if p.OK {
		return "proved in " + p.Looked()
	}
	return fmt.Sprintf("not proved: %d differences, %d processes without the filter", len(p.Differ), len(p.NoFilter))
}

func (w *live) setApplied(a Applied) {
	w.mu.Lock()
	w.applied = a
	w.mu.Unlock()
}

// setProved keeps the policy that a later proof compares with.
func (w *live) setProved(p policy.Policy) {
	w.mu.Lock()
	w.holdSet = p
	w.mu.Unlock()
}

// endOwn ends a target of speaker's own that is about to be booted again.
func (w *live) endOwn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := w.stopOwn(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", w.item.Name, err)
	}
	if w.hold != nil {
		return w.hold.End()
	}
	return nil
}

// stopOwn stops a target of speaker's own. Its stop is marked, so that what it
// calls then is a phase of its own.
func (w *live) stopOwn(ctx context.Context) error {
	if w.load != nil {
		w.load.Stop()
	}
	at := w.sess.Length()
	w.sess.AddMark(session.Mark{At: at, Kind: session.MarkStop, Text: "speaker stops it"})
	if sp, ok := w.sess.Split(); ok && sp.Stop == 0 && at > sp.At {
		sp.Stop = at
		w.sess.AddSplit(sp)
	}
	return w.own.stop(ctx)
}
