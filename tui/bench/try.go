package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
)

// decided returns the policy at the current split, or why there is none.
func (d *desk) decided() (policy.Policy, error) {
	sp, ok := d.sess.Split()
	if !ok {
		return policy.Policy{}, d.noSplit()
	}
	return d.sess.Policy(sp), nil
}

// DryRun implements Work.
func (w *live) DryRun(on bool) error {
	if !on {
		w.mu.Lock()
		w.dryRun, w.would, w.joined, w.refused, w.unsure = false, nil, nil, nil, nil
		w.mu.Unlock()
		return w.tracer.Judge(nil)
	}
	p, err := w.decided()
	if err != nil {
		return err
	}
	values, err := w.beginValues()
	if err != nil {
		return err
	}
	narrow := p.Narrow()
	err = w.tracer.Judge(allowedBy(narrow))
	w.mu.Lock()
	w.dryRun, w.judged, w.values = err == nil, narrow, values
	w.would, w.joined, w.refused, w.unsure = nil, nil, nil, nil
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

// held returns the policy of the hold in place.
func (w *live) held() (policy.Policy, error) {
	if _, err := w.holding(); err != nil {
		return policy.Policy{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holdSet, nil
}

// Hold implements Work.
func (w *live) Hold(ctx context.Context, auto bool) (Work, error) {
	if err := w.changeable(); err != nil {
		return nil, err
	}
	if w.starter == nil && !w.State().Item.CanBoot {
		return nil, ErrCannotRun
	}
	sp, ok := w.sess.Split()
	if !ok {
		return nil, w.noSplit()
	}
	if err := apply.Refusal(apply.Preflight(noPids, w.sess.Policy(sp), apply.ModeHold)); err != nil {
		return nil, err
	}
	w.tried("hold", nil, "booting again under the two-phase filter")
	if w.starter == nil {
		return w.bootAgain(ctx, "hold", &plan{policy: w.sess.Policy(sp), learned: w.sess.Observed(sp), auto: auto})
	}
	return w.again(ctx, "hold", func() *plan {
		// Only now is it known what a clean stop needs.
		sp, _ := w.sess.Split()
		return &plan{policy: w.sess.Policy(sp), learned: w.sess.Observed(sp), auto: auto}
	})
}

func noPids() ([]int, error) { return nil, nil }

// changeable is an error when nothing may be done to the target.
func (w *live) changeable() error {
	if w.bench.opt.ReadOnly {
		return ErrReadOnly
	}
	return w.desk.open()
}

// Reboot implements Work.
func (w *live) Reboot(ctx context.Context) (Work, error) {
	if err := w.changeable(); err != nil {
		return nil, err
	}
	if w.starter != nil {
		return w.again(ctx, "boot", func() *plan { return nil })
	}
	if !w.State().Item.CanBoot {
		return nil, errors.New("only containers of an engine, the demo and commands started here can be booted again")
	}
	return w.bootAgain(ctx, "boot", nil)
}

// bootAgain boots a container again, with a plan under a hold.
func (w *live) bootAgain(ctx context.Context, what string, p *plan) (Work, error) {
	w.mu.Lock()
	ref := w.item.Ref
	w.autoDeny = false
	w.mu.Unlock()
	n, err := w.bench.bootContainer(ctx, ref, w, p)
	if err != nil {
		w.problem(what + ": " + err.Error())
		return nil, err
	}
	if p != nil && n.State().Applied == Nothing {
		return n, ErrNotHeld
	}
	return n, nil
}

// CrossSplit implements Work.
func (w *live) CrossSplit(within time.Duration) error {
	said := "removed calls are denied now"
	if within > 0 {
		said += fmt.Sprintf(", and allowed again in %s unless that is kept", within)
	}
	return w.cross("deny", HoldDeny, func(h *apply.Hold) error { return h.DenyFor(within) }, said)
}

// AskSplit implements Work.
func (w *live) AskSplit(within time.Duration, a apply.Asking) error {
	return w.cross("ask", HoldAsk, func(h *apply.Hold) error { return h.AskFor(within, a) }, "removed calls are asked about now")
}

// cross crosses the split of a hold.
func (w *live) cross(kind string, to Applied, do func(*apply.Hold) error, said string) error {
	w.handProbes()
	err := w.switchHold(kind, to, do, said)
	if _, ok := w.sess.Split(); err == nil && !ok {
		w.sess.AddSplit(session.Split{At: w.sess.Length(), How: "where the hold began to deny", By: "user"})
	}
	return err
}

// KeepHold implements Work.
func (w *live) KeepHold() error {
	return w.tellHold("keep", (*apply.Hold).Keep, "removed calls stay denied")
}

// Answer implements Work.
func (w *live) Answer(q apply.Question, v apply.Verdict, errno int32) error {
	said := fmt.Sprintf("%s by %s: %s", q.What(), q.Image, v)
	err := w.tellHold("answer", func(h *apply.Hold) error { return h.Answer(q.ID, v, errno) }, said)
	if err != nil || v != apply.AllowGood {
		return err
	}
	p, err := w.decided()
	if err != nil {
		return err
	}
	note := fmt.Sprintf("allowed when %s (%s, pid %d) asked during the hold", q.Image, q.Comm, q.Pid)
	return w.Edit(allowAsked(p, q, note))
}

// allowAsked is the edit that has run allow what was asked for: a call, or with
// conditions on it one more alternative.
func allowAsked(p policy.Policy, q apply.Question, note string) policy.Edit {
	e := policy.Edit{Op: policy.OpAllow, Call: q.Call, Phase: policy.Run, Note: note}
	x, _ := p.Entry(q.Call)
	for _, c := range x.Conditions {
		if c.Phase == policy.Run && len(q.When) > 0 {
			e.Op, e.From, e.When = policy.OpCondition, policy.OriginHand, append(slices.Clone(c.When), q.When)
		}
	}
	return e
}

// Rule implements Work.
func (w *live) Rule(r apply.Rule, forget bool) error {
	said := r.String()
	if forget {
		said = fmt.Sprintf("what was said of %s is taken back", r.Call)
	}
	return w.tellHold("rule", func(h *apply.Hold) error { return h.Rule(r, forget) }, said)
}

// Guard implements Work.
func (w *live) Guard(on bool) error {
	said := "off: nothing but the time undoes what goes badly"
	if on {
		said = "on"
	}
	return w.tellHold("watchdog", func(h *apply.Hold) error { return h.Guard(on) }, said)
}

// Late implements Work.
func (w *live) Late(c apply.LateChoice) error {
	return w.tellHold("exec", func(h *apply.Hold) error { return h.Late(c) }, "who comes in later: "+string(c))
}

// tellHold has the keeper do what changes nothing of what is applied.
func (w *live) tellHold(kind string, do func(*apply.Hold) error, said string) error {
	if err := w.changeable(); err != nil {
		return err
	}
	hold, err := w.holding()
	if err != nil {
		return err
	}
	err = do(hold)
	w.tried(kind, err, said)
	return err
}

// UndoHold implements Work.
func (w *live) UndoHold() error {
	return w.switchHold("undo", HoldOpen, (*apply.Hold).Allow, "removed calls are allowed again")
}

func (w *live) switchHold(kind string, to Applied, do func(*apply.Hold) error, said string) error {
	if err := w.changeable(); err != nil {
		return err
	}
	hold, err := w.holding()
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.autoDeny = false
	w.mu.Unlock()
	defer w.switching()()
	err = do(hold)
	w.tried(kind, err, said)
	if err == nil {
		w.setApplied(to)
	}
	return err
}

// switching says that it is us who change what is applied, until done is called.
func (w *live) switching() (done func()) {
	add := func(n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.busy += n
		w.switches++
	}
	add(1)
	return func() { add(-1) }
}

// holding returns the hold in place, if it can be switched.
func (w *live) holding() (*apply.Hold, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.applied == Sealed:
		return nil, apply.ErrSealed
	case w.applied == Bereft:
		return nil, apply.ErrBereft
	case w.hold == nil:
		return nil, errNotHeld
	}
	return w.hold, nil
}

var errNotHeld = errors.New("nothing is held: boot it under the two-phase filter first (H)")

// Seal implements Work.
func (w *live) Seal(ctx context.Context) (apply.Proof, error) {
	if err := w.changeable(); err != nil {
		return apply.Proof{}, err
	}
	hold, err := w.holding()
	if err != nil {
		return apply.Proof{}, err
	}
	defer w.switching()()
	_, proof, err := hold.Seal(ctx, w.pids)
	w.tried("seal", err, verdict(proof))
	if err == nil {
		w.setApplied(Sealed)
	}
	return proof, err
}

// Inject implements Work.
func (w *live) Inject(ctx context.Context) (apply.Report, apply.Proof, error) {
	if err := w.changeable(); err != nil {
		return apply.Report{}, apply.Proof{}, err
	}
	p, err := w.decided()
	if err != nil {
		return apply.Report{}, apply.Proof{}, err
	}
	if err := apply.Refusal(apply.Preflight(w.pids, p, apply.ModeInject)); err != nil {
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
	settle := w.expect(p.NarrowSpec())
	report, err := apply.Inject(ctx, w.pids, f)
	settle(report, err)
	w.tried("inject", err, fmt.Sprintf("%d processes, %d passes", report.Processes, report.Passes))
	if report.Applied() {
		w.setApplied(Injected)
		w.mu.Lock()
		w.holdSet, w.narrow = p, p.NarrowSpec()
		w.mu.Unlock()
	}
	if err != nil {
		return report, apply.Proof{}, err
	}
	proof, err := w.Prove(ctx)
	return report, proof, err
}

// expect keeps what an injection is to bring, for speakers to come, and returns
// what then tells how it went. Without that record the injection goes on: it is
// not what makes the target safe.
func (w *live) expect(spec policy.Spec) (settle func(apply.Report, error)) {
	w.mu.Lock()
	t := w.target
	w.mu.Unlock()
	failed := func(err error) {
		w.problem("a later speaker will not know of this injection: " + err.Error())
	}
	s, err := subjectOf(t)
	if err != nil {
		failed(err)
		return func(apply.Report, error) {}
	}
	keep, err := apply.ExpectInjection(s, spec, time.Now())
	if err != nil {
		failed(err)
		return func(apply.Report, error) {}
	}
	return func(r apply.Report, done error) {
		if err := keep(r, done); err != nil {
			failed(err)
		}
	}
}

// Prove implements Work.
func (w *live) Prove(ctx context.Context) (apply.Proof, error) {
	w.mu.Lock()
	spec, applied := w.start, w.applied
	if applied == Sealed || applied == Injected {
		spec = w.narrow
	}
	w.mu.Unlock()
	switch {
	case applied == Nothing && w.filters > 0:
		return apply.Proof{}, fmt.Errorf("nothing was applied from here; of the filters from before (%d) it is not known what they should answer", w.filters)
	case applied == Nothing:
		return apply.Proof{}, errors.New("nothing is applied yet, so there is nothing to prove")
	}
	var late *apply.LateStatus
	w.mu.Lock()
	if w.status != nil && spec.Notify.Len() > 0 {
		late = w.status.Late
	}
	w.mu.Unlock()
	proof, err := apply.Prove(ctx, apply.Without(late, w.pids), spec)
	if late != nil && len(late.Pids) > 0 && len(proof.Text) > 0 {
		proof.Text = append(proof.Text, lateUncovered(late))
	}
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
