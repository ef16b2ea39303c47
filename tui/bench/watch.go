package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"speaker/apply"
	"speaker/apply/keeper"
	"speaker/policy"
	"speaker/trace"
	"speaker/trace/target"
)

// lookEvery is how often the slow facts of State are read anew.
const lookEvery = 400 * time.Millisecond

// watch keeps what State shows fresh until ctx ends, crosses the split of an
// automatic hold, and notices the target's end.
func (w *live) watch(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.look(ctx)
		}
	}
}

// look reads the slow facts once.
func (w *live) look(ctx context.Context) {
	w.mu.Lock()
	dryRun, applied := w.dryRun, w.applied
	w.mu.Unlock()
	var would, joined, denied []trace.ProcRow
	var refused []Refused
	var unsure []string
	over := w.life.Over() // what the tracer counts is then of another life
	if dryRun && !over {
		would, joined, refused, unsure = w.judge()
	}
	if applied != Nothing && !over {
		denied, _ = w.tracer.Denials()
	}
	alive := len(w.life.Pids()) > 0
	var status *apply.Status
	if alive {
		status = w.lookAtHold()
	}
	w.mu.Lock()
	if !over {
		w.would, w.joined, w.denied = would, joined, denied
		w.refused, w.unsure = refused, unsure
	}
	w.status = status
	// A container may take long to start, and a command may live for a moment.
	w.begun = w.begun || alive || len(w.sess.Discoveries()) > 0
	w.ended = w.stopped || over || w.begun && !alive
	auto, ended, load := w.autoDeny, w.ended, w.load
	w.mu.Unlock()
	if ended && load != nil {
		load.Stop() // what it asks from now on would count as failed
	}
	if ended {
		w.endProbes("the target has ended")
		w.askLife(ctx)
	}
	if ended && !w.stopTaken {
		w.stopTaken = w.takeStop()
	}
	if auto && alive {
		w.crossWhenReady()
	}
}

// UndoneBy goes before a keeper's own reason for an undo.
const UndoneBy = "undone by its keeper: "

// lookAtHold asks the keeper how things stand, for others may switch the hold
// too, and takes that over. It answers nil when nobody does.
func (w *live) lookAtHold() *apply.Status {
	w.mu.Lock()
	hold, was, switches := w.hold, w.applied, w.switches
	w.mu.Unlock()
	if hold == nil || was == Sealed || was == Bereft || was == Injected {
		return nil
	}
	now := was
	s, err := hold.Status()
	switch {
	case err == nil:
		now = appliedOf(s.Mode)
	case errors.Is(err, apply.ErrSealed):
		now = Sealed
	case errors.Is(err, apply.ErrBereft):
		now = Bereft
	case errors.Is(err, apply.ErrEnded): // the tracer will see it
	default:
		w.problem("the hold's keeper does not answer: " + err.Error())
	}
	w.mu.Lock()
	foreign := false
	if now != was && switches == w.switches { // else what was heard is old
		w.applied, foreign = now, w.busy == 0
		w.autoDeny = w.autoDeny && now == HoldBoot
	}
	w.mu.Unlock()
	switch {
	case !foreign:
	case now == Bereft:
		w.tried("hold", apply.ErrBereft, "")
	case s.Why != "":
		w.tried("hold", errors.New(UndoneBy+s.Why), "")
	default:
		w.tried("hold", nil, "switched from elsewhere: "+string(now))
	}
	if err != nil {
		return nil
	}
	return &s
}

// appliedOf names what a keeper's mode means for the target.
func appliedOf(m keeper.Mode) Applied {
	return map[keeper.Mode]Applied{keeper.Boot: HoldBoot, keeper.Deny: HoldDeny, keeper.Ask: HoldAsk, keeper.Allow: HoldOpen, keeper.Sealed: Sealed}[m]
}

// crossWhenReady crosses the split of an automatic hold once this boot shows
// the evidence that the split asks for: its rule's, or the proposal's.
func (w *live) crossWhenReady() {
	sp, ok := w.sess.Split()
	pinned := sp.Rule != ""
	if !pinned {
		sp, ok = w.sess.Propose(w.sess.Length())
	}
	if !ok {
		return
	}
	if !pinned {
		sp.By = "speaker, for the automatic hold"
		w.sess.AddSplit(sp)
	}
	if err := w.CrossSplit(0); err != nil {
		w.problem("cross the split: " + err.Error())
	}
}

// pids lists the target's processes. Those of a tree whose own parent ended were
// given another one, and /proc no longer shows that they belong here: the tracer
// followed their forks in the kernel, and knows them.
func (w *live) pids() ([]int, error) {
	w.mu.Lock()
	t := w.target
	w.mu.Unlock()
	list, err := t.Pids()
	if err != nil || t.Engine != "process" {
		return list, err
	}
	list = append(list, w.life.Pids()...)
	slices.Sort(list)
	return slices.Compact(list), nil
}

// scope says what a proof of a tree does not cover; of a cgroup it covers all.
func (w *live) scope(p apply.Proof) apply.Proof {
	w.mu.Lock()
	t := w.target
	w.mu.Unlock()
	if len(p.Text) > 0 {
		p.Text = append(p.Text, uncovered(t)...)
	}
	return p
}

// State implements Work.
func (w *live) State() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.desk.state()
	s.Mode, s.Item, s.Applied, s.AutoDeny = Live, w.item, w.applied, w.autoDeny
	s.Ended, s.DryRun, s.ByProcess, s.Hold = w.ended || w.closed.Load(), w.dryRun, w.naming, w.status
	s.Again, s.Recorded = w.nextLife, w.next != nil
	s.Ends = w.own != nil && w.applied == Nothing && !s.Ended
	s.FiltersBefore = w.filters
	s.WouldDeny, s.Joined, s.Denied = w.would, w.joined, w.denied
	s.WouldRefuse, s.Unsure = w.refused, w.unsure
	s.Probes = w.probing.texts()
	s.Phase = w.phase()
	if w.applied != Nothing {
		p := w.holdSet
		s.InPlace = &p
	}
	if w.load != nil {
		ok, failed, last := w.load.Stats()
		s.Load = fmt.Sprintf("demo load: %d answered, %d failed", ok, failed)
		if last != nil && failed > 0 {
			s.Load += " (" + last.Error() + ")"
		}
	}
	return s
}

// phase says on which side of the split now lies. Locked by the caller.
func (w *live) phase() policy.Phase {
	switch {
	case w.ended:
		return policy.Stop
	case w.applied == HoldBoot:
		return policy.Boot
	case w.applied != Nothing:
		return policy.Run
	}
	if sp, ok := w.sess.Split(); ok && w.sess.Length() > sp.At {
		if _, reload := w.sess.OpenAdmin(); reload {
			return policy.Admin
		}
		return policy.Run
	}
	return policy.Boot
}

// Reload implements Work.
func (w *live) Reload() (string, error) {
	if err := w.changeable(); err != nil {
		return "", err
	}
	if w.own == nil || w.own.demo == nil {
		return "", ErrNotDemo
	}
	w.Mark(ReloadMark)
	if err := w.own.demo.Reload(); err != nil {
		w.Mark(ReloadFailed + err.Error())
		return "", err
	}
	return "reloaded", nil
}

// Close implements Work. The order matters: the recorder reads the tracer, and
// the file takes the last epoch.
func (w *live) Close() error {
	w.mu.Lock()
	first := w.closing.CompareAndSwap(false, true)
	w.mu.Unlock()
	if !first {
		return nil
	}
	w.stopBg()
	w.bg.Wait()
	w.endProbes("the recording has ended")
	var errs []error
	errs = append(errs, w.leave(), w.probing.socket.Close())
	if w.load != nil {
		w.load.Stop()
	}
	errs = append(errs, w.rec.Stop(), w.closeNext())
	if err := w.desk.close(); err != nil {
		errs = append(errs, err)
	} else if w.path != "" && !w.abandoned {
		w.bench.farewell("session saved: " + w.path)
	}
	if w.cgroup != "" {
		os.Remove(w.cgroup) // stays, rightly, while somebody lives in it
	}
	return errors.Join(errs...)
}

// handOver closes the work for the one that follows it. What went wrong is told
// once the screen is gone.
func (w *live) handOver() {
	if err := w.Close(); err != nil {
		w.bench.farewell(err.Error())
	}
}

// leave stops a target of speaker's own that nothing is applied to, while it
// is still being recorded, and says what is left running otherwise.
func (w *live) leave() error {
	st := w.State()
	if st.Ended {
		return nil
	}
	if w.own == nil {
		switch {
		case st.Applied == Nothing || st.Applied == Bereft:
		case st.Applied == Sealed:
			w.bench.farewell(fmt.Sprintf("%s keeps the sealed filter as long as its processes live: prove it at any time with: speaker prove %s", w.item.Name, w.target.Ref()))
		case st.Hold != nil:
			w.bench.farewell(fmt.Sprintf("%s stays held (%s), and its keeper answers: speaker hold %s; started again it is held again, until: speaker hold %s leave", w.item.Name, st.Applied, w.item.Name, w.item.Name))
		}
		if st.Applied == Injected {
			w.bench.farewell(fmt.Sprintf("%s keeps the injected filter as long as its processes live: prove it at any time with: speaker prove %s", w.item.Name, w.target.Ref()))
		}
		return nil
	}
	if a := st.Applied; a != Nothing {
		w.bench.farewell(fmt.Sprintf("%s goes on running (%s), pid %d: watch it again with: speaker watch cgroup:%s; end it with: kill %d", w.item.Name, a, w.own.pid, w.cgroup, w.own.pid))
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return w.stopOwn(ctx)
}

// endProcesses ends what lives in a cgroup: SIGTERM, and SIGKILL when ctx ends.
func endProcesses(ctx context.Context, cgroup string) error {
	send := func(sig syscall.Signal) int {
		pids, _ := target.Target{Engine: "run", CgroupPath: cgroup}.Pids()
		for _, p := range pids {
			syscall.Kill(p, sig)
		}
		return len(pids)
	}
	if send(syscall.SIGTERM) == 0 {
		return nil
	}
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for send(0) > 0 {
		select {
		case <-ctx.Done():
			if send(syscall.SIGKILL) == 0 {
				return nil
			}
			return fmt.Errorf("processes in %s did not end in time and were killed", filepath.Base(cgroup))
		case <-t.C:
		}
	}
	return nil
}
