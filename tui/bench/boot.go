package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
	"speaker/trace"
	"speaker/trace/ready"
	"speaker/trace/target"
)

// bootContainer boots a container with the tracer armed before its first call. One
// that runs is stopped and started in one request, which the daemon finishes
// whatever becomes of speaker: nothing stays down because speaker was killed. With a
// plan it is under the plan's two-phase filter, if its program can be caught; else it
// runs as it would have, which is told.
// old, if any, is the work on its life until now: it is closed once the new one
// stands, and stays open if that fails.
func (b *Bench) bootContainer(ctx context.Context, ref string, old *live, p *plan) (_ *live, err error) {
	engines := target.Find(b.hosts())
	t, err := engines.Resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	d, err := engines.Starter(t)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	sheet, err := b.prepare(t, true)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.discard(sheet)
		}
	}()
	tr, err := b.trace(trace.Config{Arm: target.BootNames(t), Controller: b.controller()})
	if err != nil {
		return nil, fmt.Errorf("arm for %s: %w", t.Name, err)
	}
	if err := leaveHolds(t); err != nil {
		tr.Close()
		return nil, err
	}
	ranBefore := t.RanBefore
	var bootErr, holdErr error
	var hold *apply.Hold
	boot := func() error { bootErr = starting(ctx, d, t)(); return bootErr }
	up := make(chan struct{})
	go func() {
		defer close(up)
		if p == nil {
			_ = boot()
		} else if hold, holdErr = apply.BootHold(ctx, t.ID, b.booting(t, boot), p.policy); bootErr != nil || hold != nil {
			holdErr = nil
		}
	}()
	awaitEnd(t.Pid, up) // the recording begins when the old life has ended
	w := b.begin(sheet, t, itemOf(t), tr, tr.Life())
	w.beginProbes(old)
	<-up
	if bootErr != nil {
		w.abandon()
		return nil, fmt.Errorf("boot %s: %w", t.Name, bootErr)
	}
	if ranBefore {
		w.sess.AddMark(session.Mark{Kind: session.MarkRanBefore, Text: "the container was not new"})
	}
	if t, err := d.Inspect(ctx, t.ID); err == nil {
		w.mu.Lock()
		w.target, w.item = t, itemOf(t)
		w.mu.Unlock()
	}
	if old != nil {
		if err := w.takeOver(old); err != nil {
			w.problem("the edits are not carried over: " + err.Error())
		}
	}
	switch {
	case holdErr != nil:
		w.tried("hold", fmt.Errorf("it is not held, and runs as it would have without speaker: %w", holdErr), "")
	case hold != nil:
		if err := w.heldBy(hold, p); err != nil {
			w.problem("denials cannot be watched: " + err.Error())
		}
	}
	w.follow()
	if old != nil {
		old.handOver()
	}
	return w, nil
}

// starting has the engine start a container, or start it again.
func starting(ctx context.Context, d *target.Docker, t target.Target) func() error {
	if t.Pid != 0 {
		return func() error { return d.Restart(ctx, t.ID) }
	}
	return func() error { return d.Start(ctx, t.ID) }
}

// booting is what a hold is told of a container that is about to be started.
func (b *Bench) booting(t target.Target, start func() error) apply.Booting {
	return apply.Booting{Label: t.Name, Arm: target.BootNames(t), Controller: b.controller(), Start: start}
}

// awaitEnd waits until process pid (0: none) is gone, or done is closed.
func awaitEnd(pid int, done <-chan struct{}) {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for pid != 0 && syscall.Kill(pid, 0) == nil {
		select {
		case <-done:
			return
		case <-t.C:
		}
	}
}

// berth is all that can be made, and can fail, before a target of speaker's own
// is started: its cgroup, its session, and the tracer that watches.
type berth struct {
	bench   *Bench
	starter starter
	cgroup  string
	remove  func() error
	sheet   *desk
	tracer  *trace.Tracer
}

func (b *Bench) berth(s starter) (_ *berth, err error) {
	leftovers() // removes what is empty
	x := &berth{bench: b, starter: s}
	if x.cgroup, x.remove, err = ownCgroup(s); err != nil {
		return nil, err
	}
	if x.sheet, err = b.prepare(x.target(), true); err != nil {
		x.remove()
		return nil, err
	}
	if x.tracer, err = b.trace(trace.Config{CgroupPath: x.cgroup, SameMountNS: true}); err != nil {
		b.discard(x.sheet)
		x.remove()
		return nil, fmt.Errorf("watch %s: %w", s.name(), err)
	}
	return x, nil
}

// target is what will be started here, as far as it is known.
func (x *berth) target() target.Target {
	return target.Target{Engine: x.starter.engine(), ID: filepath.Base(x.cgroup), Name: x.starter.name(), State: "running",
		Created: time.Now(), CgroupPath: x.cgroup, SameMountNS: true}
}

// close takes back what was made.
func (x *berth) close() {
	x.tracer.Close()
	x.bench.discard(x.sheet)
	x.remove()
}

// bootOwn starts a target of speaker's own.
func (b *Bench) bootOwn(ctx context.Context, s starter) (Work, error) {
	x, err := b.berth(s)
	if err != nil {
		return nil, err
	}
	w, err := x.start(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// start starts the target; with a plan it is under the plan's two-phase filter
// from its first instruction. old, if any, is the recording before. On an error
// the berth is closed.
func (x *berth) start(ctx context.Context, old *live, p *plan) (*live, error) {
	probes, err := x.bench.probesFor(old)
	var socket *ready.Socket
	if err == nil {
		socket, err = socketFor(probes)
	}
	if err != nil {
		x.close()
		return nil, err
	}
	own, err := x.starter.start(ctx, x.cgroup, envOf(socket))
	if err != nil {
		socket.Close()
		x.close()
		return nil, err
	}
	t := x.target()
	t.Pid = own.pid
	item := itemOf(t)
	item.CanBoot = true
	w := x.bench.begin(x.sheet, t, item, x.tracer, x.tracer.Life())
	w.mu.Lock()
	w.starter, w.own, w.cgroup = x.starter, own, x.cgroup
	w.mu.Unlock()
	w.probing.socket = socket
	if old != nil {
		err = w.takeOver(old)
	}
	if err == nil {
		w.ask(probes)
		err = w.letGo(ctx, p)
	}
	if err != nil {
		own.stop(ctx)
		w.abandon()
		x.close()
		return nil, err
	}
	if own.demo != nil {
		w.mu.Lock()
		w.load = own.demo.Load(x.bench.opt.LoadRate)
		w.mu.Unlock()
	}
	return w, nil
}

// plan is what a boot under the two-phase filter carries over from the
// recording that it was made from.
type plan struct {
	policy  policy.Policy
	learned policy.Observed
	auto    bool
}

// letGo releases the waiting process: bare, or under a plan's filter.
func (w *live) letGo(ctx context.Context, p *plan) error {
	if p == nil {
		return w.own.release()
	}
	hold, err := apply.StartHold(ctx, filepath.Base(w.cgroup), apply.Waiting{Pid: w.own.pid, Release: w.own.release, Cgroup: w.cgroup}, p.policy)
	if err != nil {
		return err
	}
	return w.heldBy(hold, p)
}

// heldBy notes that the target is held.
func (w *live) heldBy(hold *apply.Hold, p *plan) error {
	w.sess.Learn(p.learned)
	w.mu.Lock()
	w.hold, w.holdSet, w.applied, w.autoDeny = hold, p.policy, HoldBoot, p.auto
	w.start, w.narrow = p.policy.StartSpec(), p.policy.NarrowSpec()
	w.mu.Unlock()
	return w.tracer.WatchDenials(true)
}

// again stops a target of speaker's own and starts it anew, with what plan makes
// of the recording until now. What can fail without harm is done before the
// stop; if it fails after it, this work stays open, and its target is ended.
func (w *live) again(ctx context.Context, what string, plan func() *plan) (Work, error) {
	x, err := w.bench.berth(w.starter)
	if err != nil {
		return nil, err
	}
	if err := w.endOwn(ctx); err != nil {
		x.close()
		return nil, err
	}
	n, err := x.start(ctx, w, plan())
	if err != nil {
		w.problem(fmt.Sprintf("%s: %s was stopped for it, and could not be started again: %v", what, w.item.Name, err))
		return nil, err
	}
	w.handOver()
	return n, nil
}

// endOwn ends a target of speaker's own that is about to be booted again.
func (w *live) endOwn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A stop that was begun is not broken off: that would be a kill.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if err := w.stopOwn(stop); err != nil {
		return fmt.Errorf("stop %s: %w", w.item.Name, err)
	}
	w.mu.Lock()
	hold, applied := w.hold, w.applied
	w.stopped, w.ended, w.autoDeny = true, true, false
	w.mu.Unlock()
	if hold != nil && applied != Sealed && applied != Bereft {
		if err := hold.End(); err != nil {
			w.problem("the keeper stays: " + err.Error())
		}
	}
	if err := ctx.Err(); err != nil {
		w.problem(w.item.Name + " was stopped, and then not booted again: that was cancelled")
		return err
	}
	return nil
}

// stopOwn stops a target of speaker's own. Its stop is marked, so that what it
// calls then is a phase of its own.
func (w *live) stopOwn(ctx context.Context) error {
	if w.load != nil {
		w.load.Stop()
	}
	if len(w.life.Pids()) > 0 {
		at := w.sess.Length()
		w.sess.AddMark(session.Mark{At: at, Kind: session.MarkStop, Text: "speaker stops it"})
		if sp, ok := w.sess.Split(); ok && sp.Stop == 0 && at > sp.At {
			sp.Stop = at
			w.sess.AmendSplit(sp)
		}
	}
	return w.own.stop(ctx)
}
