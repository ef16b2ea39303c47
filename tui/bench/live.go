package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"speaker/apply"
	"speaker/policy"
	"speaker/sample"
	"speaker/session"
	"speaker/trace"
	"speaker/trace/proc"
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
	life    *trace.Life // the one of the target that is recorded
	rec     *session.Recorder
	filters int // seccomp filters that were there before us
	stopBg  context.CancelFunc
	bg      sync.WaitGroup

	stopTaken bool        // the split has the target's stop; watch alone uses it
	abandoned bool        // its recording came to nothing
	closing   atomic.Bool // Close was called; set under mu

	probing probing // the readiness probes

	mu       sync.Mutex // guards what follows
	target   target.Target
	hold     *apply.Hold   // nil: none, or none that anybody answers for
	holdSet  policy.Policy // of the filter in place; of an earlier speaker's, the run set alone
	start    policy.Spec   // of a hold's filter
	narrow   policy.Spec   // of the run filter that stands, or will
	applied  Applied
	switches int // how often applied was changed by us
	busy     int // changes of it by us that are under way
	autoDeny bool
	dryRun   bool
	naming   bool      // calls are counted per process
	next     *live     // the recording of the life after this one, from its first call; nil: there is none
	nextLife int       // that life's process; 0: it is not known
	asking   bool      // the engine is being asked for it
	asked    time.Time // when it was
	begun    bool      // it was seen to live
	stopped  bool      // we ended it
	ended    bool
	load     *sample.Load // the demo's; nil elsewhere
	status   *apply.Status
	judged   policy.Set // what the dry run judges by
	values   judgedValues
	refused  []Refused
	unsure   []string
	would    []trace.ProcRow
	joined   []trace.ProcRow
	denied   []trace.ProcRow
}

// watchRunning watches what already runs.
func (b *Bench) watchRunning(ctx context.Context, ref string) (*live, error) {
	t, err := b.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	if t.Pid == 0 {
		return nil, fmt.Errorf("%s is not running (%s): boot it (b, or --boot)", t.Name, t.State)
	}
	cfg := trace.Config{CgroupPath: t.CgroupPath, SameMountNS: t.SameMountNS}
	if t.Engine == "process" {
		cfg.CgroupPath, cfg.Pid = "", t.Pid
	}
	tr, err := b.trace(cfg)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", t.Ref(), err)
	}
	w, err := b.open(t, itemOf(t), tr)
	if err != nil {
		tr.Close()
		return nil, err
	}
	w.filters = filtersOn(t)
	w.beginProbes(nil)
	w.adopt()
	w.follow()
	return w, nil
}

// filtersOn is how many seccomp filters the process of t with the most has.
func filtersOn(t target.Target) int {
	most := 0
	pids, _ := t.Pids() // without any, there is nothing to tell
	for _, pid := range pids {
		if i, err := proc.Read(pid); err == nil {
			most = max(most, i.Filters)
		}
	}
	return most
}

// adopt takes up what an earlier speaker left on this target: a hold, sealed or
// not, or an injected filter.
func (w *live) adopt() {
	holds, err := apply.FindHolds()
	if err != nil {
		return
	}
	w.mu.Lock()
	t := w.target
	w.mu.Unlock()
	for _, h := range holds {
		if !standsOn(h, t) {
			continue
		}
		if err := w.takeUp(h); err != nil {
			w.problem(fmt.Sprintf("a hold was left in place here, and cannot be taken up: %v", err))
			continue
		}
		w.problem("what an earlier speaker left in place is taken up again: " + string(w.State().Applied))
	}
	if w.State().Applied == Nothing {
		w.adoptInjection()
	}
}

// adoptInjection takes up what an earlier speaker injected.
func (w *live) adoptInjection() {
	st, err := stands(w.target)
	if err != nil {
		w.problem("what was injected here cannot be looked up: " + err.Error())
		return
	}
	if st.applied != Injected {
		return
	}
	w.mu.Lock()
	w.narrow, w.holdSet, w.applied = st.narrow, apply.PolicyOf(st.narrow), Injected
	w.mu.Unlock()
	w.problem("an earlier speaker injected a filter here")
	for _, text := range st.notes {
		w.problem(text + ": prove it (P), or inject again")
	}
	if err := w.tracer.WatchDenials(true); err != nil {
		w.problem("denials cannot be watched: " + err.Error())
	}
}

// takeUp connects to the keeper of a hold that is in place, if it has one.
func (w *live) takeUp(h apply.HoldInfo) error {
	start, narrow, err := h.Specs()
	if err != nil {
		return err
	}
	var hold *apply.Hold
	applied := appliedOf(h.Mode)
	switch {
	case h.Sealed():
	case !h.Alive:
		applied = Bereft
	default:
		if hold, err = apply.Attach(h.Name); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.hold, w.start, w.narrow, w.holdSet, w.applied = hold, start, narrow, apply.PolicyOf(narrow), applied
	w.mu.Unlock()
	return w.tracer.WatchDenials(true)
}
