package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"speaker/apply"
	"speaker/policy"
	"speaker/sample"
	"speaker/session"
	"speaker/trace"
	"speaker/trace/target"
)

// live is the Work on a watched target. What it opens it closes, in reverse.
type live struct {
	*desk // the session's half: split, edits, save, export

	bench   *Bench
	item    Item
	cgroup  string  // of a target of speaker's own
	starter starter // nil when speaker cannot boot it itself
	own     *started
	tracer  *trace.Tracer
	rec     *session.Recorder
	writer  *session.Writer
	stopBg  context.CancelFunc
	bg      sync.WaitGroup

	stopTaken bool // the split has the target's stop; watch alone uses it

	mu       sync.Mutex // guards what follows
	target   target.Target
	hold     *apply.Hold
	holdSet  policy.Policy // what the filter in place was compiled from
	adopted  bool          // the hold is an earlier speaker's: holdSet is its run set alone
	applied  Applied
	autoDeny bool
	dryRun   bool
	naming   bool // calls are counted per process
	begun    bool // it was seen to live
	ended    bool
	closed   bool
	load     *sample.Load // the demo's; nil elsewhere
	status   *apply.Status
	judged   policy.Set // what the dry run judges by
	would    []trace.ProcRow
	joined   []trace.ProcRow
	denied   []trace.ProcRow
}

// open starts the recording of a target whose tracer is open.
func (b *Bench) open(t target.Target, item Item, tr *trace.Tracer) (*live, error) {
	now := time.Now()
	sess := session.New(metaOf(t, b.opt.Tool, tr.StartSeen(), now))
	path, err := b.sessionPath(item.Name, now)
	if err != nil {
		return nil, err
	}
	w := &live{desk: newDesk(sess), bench: b, item: item, target: t, tracer: tr, applied: Nothing}
	if path != "" {
		if w.writer, err = session.Create(path, sess.Meta()); err != nil {
			return nil, err
		}
		w.desk.path, w.desk.writer = path, w.writer
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stopBg = cancel
	w.rec = session.Record(ctx, sess, w.writer, tr, session.Proc{}, session.Options{})
	w.bg.Add(1)
	go func() { defer w.bg.Done(); w.watch(ctx) }()
	return w, nil
}

// watchRunning watches what already runs.
func (b *Bench) watchRunning(ctx context.Context, ref string) (Work, error) {
	t, err := b.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	if t.Pid == 0 {
		return nil, fmt.Errorf("%s is not running (%s): boot it (b, or --boot)", t.Name, t.State)
	}
	cfg := trace.Config{CgroupPath: t.CgroupPath, SameMountNS: t.SameMountNS, SampleRate: b.opt.SampleRate}
	if t.Engine == "process" {
		cfg.CgroupPath, cfg.Pid = "", t.Pid
	}
	tr, err := trace.Open(cfg)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", t.Ref(), err)
	}
	w, err := b.open(t, itemOf(t), tr)
	if err != nil {
		tr.Close()
		return nil, err
	}
	w.adopt()
	return w, nil
}

// adopt takes up a hold that an earlier speaker left on this target.
func (w *live) adopt() {
	holds, err := apply.FindHolds()
	if err != nil {
		return
	}
	for _, h := range holds {
		if h.Name != filepath.Base(w.target.CgroupPath) {
			continue
		}
		if err := w.takeUp(h); err != nil {
			w.problem(fmt.Sprintf("a hold was left in place here, and cannot be taken up: %v", err))
			continue
		}
		w.problem("a hold that was left in place is taken up again")
	}
}

// takeUp connects to the keeper of a hold that is in place.
func (w *live) takeUp(h apply.HoldInfo) error {
	if !h.Alive {
		return errors.New("its keeper was killed; removed calls fail with ENOSYS")
	}
	hold, err := apply.Attach(h.Name)
	if err != nil {
		return err
	}
	spec, err := hold.Narrow()
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.hold, w.adopted, w.holdSet = hold, true, apply.PolicyOf(spec)
	w.applied = map[string]Applied{"boot": HoldBoot, "deny": HoldDeny, "allow": HoldOpen}[string(h.Mode)]
	w.mu.Unlock()
	return w.tracer.WatchDenials(true)
}

// bootContainer boots a container with the tracer armed before its first call. One
// that runs is stopped and started in one request, which the daemon finishes
// whatever becomes of speaker: nothing stays down because speaker was killed.
func (b *Bench) bootContainer(ctx context.Context, ref string) (Work, error) {
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
	tr, err := trace.Open(trace.Config{Arm: target.BootNames(t), Controller: b.controller(), SampleRate: b.opt.SampleRate})
	if err != nil {
		return nil, fmt.Errorf("arm for %s: %w", t.Name, err)
	}
	ranBefore := t.RanBefore
	boot := d.Start
	if t.Pid != 0 {
		boot = d.Restart
	}
	var bootErr error
	up := make(chan struct{})
	go func() { defer close(up); bootErr = boot(ctx, t.ID) }()
	awaitEnd(t.Pid, up) // the recording begins when the old life has ended
	w, err := b.open(t, itemOf(t), tr)
	<-up
	switch {
	case err != nil:
		tr.Close()
		return nil, err
	case bootErr != nil:
		w.Close()
		return nil, fmt.Errorf("boot %s: %w", t.Name, bootErr)
	}
	if ranBefore {
		w.sess.AddMark(session.Mark{Kind: session.MarkRanBefore, Text: "the container was not new"})
	}
	if t, err = d.Inspect(ctx, t.ID); err == nil {
		w.mu.Lock()
		w.target, w.item = t, itemOf(t)
		w.mu.Unlock()
	}
	return w, nil
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

// bootOwn starts a target of speaker's own. With a plan it goes under the
// plan's two-phase filter from its first instruction.
func (b *Bench) bootOwn(ctx context.Context, s starter, plan *plan) (Work, error) {
	cgroup, remove, err := ownCgroup(s)
	if err != nil {
		return nil, err
	}
	w, err := b.bootIn(ctx, s, cgroup, plan)
	if err != nil {
		remove()
		return nil, err
	}
	return w, nil
}

func (b *Bench) bootIn(ctx context.Context, s starter, cgroup string, plan *plan) (_ *live, err error) {
	tr, err := trace.Open(trace.Config{CgroupPath: cgroup, SameMountNS: true, SampleRate: b.opt.SampleRate})
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", s.name(), err)
	}
	own, err := s.start(ctx, cgroup)
	if err != nil {
		tr.Close()
		return nil, err
	}
	item := Item{Ref: s.name(), Engine: s.name(), Name: s.name(), State: "running", Pid: own.pid, Created: time.Now(), CanBoot: true}
	if own.demo == nil {
		item.Ref, item.Engine = "run", "run"
	}
	t := target.Target{Engine: item.Engine, ID: filepath.Base(cgroup), Name: item.Name, State: "running",
		Created: item.Created, Pid: own.pid, CgroupPath: cgroup, SameMountNS: true}
	w, err := b.open(t, item, tr)
	if err != nil {
		own.stop(ctx)
		tr.Close()
		return nil, err
	}
	w.starter, w.own, w.cgroup = s, own, cgroup
	if err := w.letGo(ctx, plan); err != nil {
		own.stop(ctx)
		w.Close()
		return nil, err
	}
	if own.demo != nil {
		w.mu.Lock()
		w.load = own.demo.Load(b.opt.LoadRate)
		w.mu.Unlock()
	}
	return w, nil
}

// letGo releases the waiting process: bare, or under a plan's filter.
func (w *live) letGo(ctx context.Context, p *plan) error {
	if p == nil {
		return w.own.release()
	}
	w.sess.Learn(p.learned)
	for _, e := range p.edits {
		if err := w.Edit(e); err != nil {
			return err
		}
	}
	hold, err := apply.StartHold(ctx, filepath.Base(w.cgroup), apply.Waiting{Pid: w.own.pid, Release: w.own.release, Cgroup: w.cgroup}, p.policy)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.hold, w.holdSet, w.applied, w.autoDeny = hold, p.policy, HoldBoot, p.auto
	w.mu.Unlock()
	return w.tracer.WatchDenials(true)
}
