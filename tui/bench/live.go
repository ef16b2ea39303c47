package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

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
	stopBg  context.CancelFunc
	bg      sync.WaitGroup

	stopTaken bool        // the split has the target's stop; watch alone uses it
	abandoned bool        // its recording came to nothing
	closing   atomic.Bool // Close was called

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
	stopped  bool // we ended it
	ended    bool
	load     *sample.Load // the demo's; nil elsewhere
	status   *apply.Status
	judged   policy.Set // what the dry run judges by
	would    []trace.ProcRow
	joined   []trace.ProcRow
	denied   []trace.ProcRow
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
