package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace"
)

// Source is where a recording comes from: the tracer, or a fake of it. Snapshot
// returns io.EOF when there is no more.
type Source interface {
	Snapshot() (trace.Snapshot, error)
	Samples([]trace.Sample) []trace.Sample
	Events([]trace.Event) []trace.Event
	Arguments() ([]trace.ArgRow, error)
	Processes() ([]trace.ProcRow, error)
	Pids() []int
	StartSeen() bool
	Close() error
}

// Options say how to record. The zero value is good.
type Options struct {
	Epoch  time.Duration    // length of an epoch; default 100 ms
	OnTick func()           // called after every epoch, from the recording goroutine
	Now    func() uint64    // CLOCK_MONOTONIC ns
	Tick   <-chan time.Time // ends the epochs instead of a ticker
}

// maxFailures is how many snapshots in a row may fail before recording ends.
const maxFailures = 50

// Recorder folds what a Source tells into a session, epoch by epoch.
type Recorder struct {
	s       *Session
	src     Source
	opts    Options
	watch   watcher
	freezer freezer
	cancel  context.CancelFunc
	done    chan struct{}

	samples  []trace.Sample
	events   []trace.Event
	who      who
	failures int
	over     bool // this tick is the last
	active   bool // something was called since the last look
	ticks    int
	outside  map[uint32]bool // processes that are not the program's: the runtime's, and what entered later
	alive    bool            // there was a process at the last tick
	marked   bool            // its end was, once at least
	started  bool            // the program's first exec was seen
	stop     stopper

	mu  sync.Mutex
	err error
}

// Record starts recording src into s, and, with w, into w's file. Probe, which
// may be nil, looks at the target's processes. It goes on until ctx ends or Stop
// is called; then it takes the last epoch and closes src. The caller closes w.
func Record(ctx context.Context, s *Session, w *Writer, src Source, probe Probe, opts Options) *Recorder {
	if opts.Epoch <= 0 {
		opts.Epoch = 100 * time.Millisecond
	}
	if opts.Now == nil {
		opts.Now = monotonic
	}
	if w != nil {
		s.Attach(w)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &Recorder{
		s: s, src: src, opts: opts, cancel: cancel, done: make(chan struct{}),
		watch:   watcher{probe: probe, seen: map[waitKey]bool{}},
		freezer: freezer{probe: probe},
		outside: map[uint32]bool{},
		who:     who{},
	}
	go r.run(ctx)
	return r
}

// monotonic is CLOCK_MONOTONIC in nanoseconds.
func monotonic() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // every kernel has it
	}
	return uint64(t.Nano())
}

// Stop ends the recording, last epoch included, and returns what Err returns.
func (r *Recorder) Stop() error {
	r.cancel()
	<-r.done
	return r.Err()
}

// Done is closed when the recording has ended.
func (r *Recorder) Done() <-chan struct{} { return r.done }

// Err is what went wrong last, or nil. What the file did not take is the
// Writer's to tell.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Recorder) run(ctx context.Context) {
	defer close(r.done)
	defer r.cancel()
	tick := r.opts.Tick
	if tick == nil {
		t := time.NewTicker(r.opts.Epoch)
		defer t.Stop()
		tick = t.C
	}
	for r.failures < maxFailures && !r.over {
		select {
		case <-tick:
			r.tick()
		case <-ctx.Done():
			r.last()
			r.tick()
		}
		if r.opts.OnTick != nil {
			r.opts.OnTick()
		}
	}
	r.s.endVisits()
	if err := r.src.Close(); err != nil && r.Err() == nil {
		r.fail(fmt.Errorf("close source: %w", err))
	}
}

// last makes this tick, or the one that follows at once, the last: it takes
// everything.
func (r *Recorder) last() {
	r.ticks = -1
	r.over = true
}

// tick ends one epoch and takes all that came with it.
func (r *Recorder) tick() {
	pids := r.src.Pids()
	at := r.opts.Now()
	r.events = r.src.Events(r.events[:0])
	for _, e := range r.events {
		r.follow(e)
		r.who.follow(e)
	}
	own := r.own(pids)
	if r.stop.first == 0 && !r.alive && r.watch.probe != nil {
		r.stop.begin(r.watch.probe.First(own))
	}
	inFlight, waits := r.watch.look(own, r.active)
	if inFlight != nil {
		r.active = false // what was called in this epoch is known only after it
	}
	switch snap, err := r.src.Snapshot(); {
	case err == nil:
		r.epoch(snap, inFlight)
	case errors.Is(err, io.EOF):
		r.alive = r.alive || !r.marked // one that lived for less than a tick
		r.last()
	default:
		r.missed(err)
	}
	meta, senders := r.s.Meta(), inside(own, r.events)
	for _, e := range r.events {
		m, ok := r.mark(meta, e)
		if !ok {
			continue
		}
		r.s.AddMark(m)
		if m.Kind == MarkStart {
			r.stop.begin(m.Pid)
		}
		if reload, ok := r.stop.reload(e, m, senders); ok {
			r.s.AddMark(reload)
		}
		if stop, ok := r.stop.see(e, m, senders); ok {
			r.s.addStop(stop)
		}
	}
	for _, w := range waits {
		r.s.AddMark(w.mark(meta.Offset(at)))
	}
	if r.freezer.look(pids) {
		r.s.AddMark(Mark{At: meta.Offset(at), Kind: r.freezer.kind()})
	}
	r.tables(meta)
	r.samples = r.src.Samples(r.samples[:0])
	r.addSamples(meta)
	if r.alive && len(pids) == 0 {
		r.marked = true
		r.s.AddMark(Mark{At: meta.Offset(at), Kind: MarkEnded, Text: "the last process is gone"})
	}
	r.alive = len(pids) > 0
}

// epoch adds a snapshot. The first one says where time begins, if nothing else
// did.
func (r *Recorder) epoch(snap trace.Snapshot, inFlight []policy.Call) {
	m := r.s.Meta()
	seen := r.src.StartSeen()
	if m.Base == 0 || m.StartSeen != seen {
		r.s.updateMeta(func(m *Meta) {
			m.StartSeen = seen
			if m.Base == 0 {
				m.Base = snap.Start
				m.Start = time.Now().Add(-time.Duration(r.opts.Now() - snap.Start))
			}
		})
		m = r.s.Meta()
	}
	e := Epoch{
		Start: m.Offset(snap.Start), End: m.Offset(snap.End),
		Rows: make([]Row, 0, len(snap.Rows)), InFlight: inFlight, Lost: snap.Lost,
	}
	r.active = r.active || len(snap.Rows) > 0
	for _, row := range snap.Rows {
		if row.Count == 0 {
			continue
		}
		e.Rows = append(e.Rows, Row{
			Group: row.Group, Call: policy.Call{ABI: policy.ABI(row.ABI), Nr: row.Nr},
			Count: row.Count, First: m.Offset(row.First), Last: m.Offset(row.Last),
		})
	}
	if err := r.s.AddEpoch(e); err != nil {
		r.missed(err)
		return
	}
	r.failures = 0
	r.fail(nil)
}

// missed notes an epoch that could not be had, once for many in a row.
func (r *Recorder) missed(err error) {
	if r.failures++; r.failures == 1 {
		m := r.s.Meta()
		r.s.AddMark(Mark{At: m.Offset(r.opts.Now()), Kind: MarkGap, Text: "an epoch was missed: " + err.Error()})
	}
	if errors.Is(err, trace.ErrClosed) {
		r.failures = maxFailures
	}
	r.fail(fmt.Errorf("record: %w", err))
}

func (r *Recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// How often, in ticks, the tables of argument values and of processes are looked
// at, and how often those of the first go to the file whole.
const (
	argumentsEvery = 10
	argumentsWhole = 600
	processesEvery = 100
)

// tables takes argument values and counts per process over, now and then. A table
// that cannot be read now is read the next time.
func (r *Recorder) tables(m Meta) {
	r.ticks++
	if r.ticks%argumentsEvery == 0 {
		if rows, err := r.src.Arguments(); err == nil {
			list := make([]Argument, len(rows))
			for i, row := range rows {
				list[i] = m.argumentOf(row)
			}
			r.s.SetArguments(list, r.ticks%argumentsWhole == 0)
		}
	}
	if r.ticks%processesEvery == 0 {
		if rows, err := r.src.Processes(); err == nil {
			list := make([]ProcessUse, len(rows))
			for i, row := range rows {
				list[i] = r.who.use(m, row)
			}
			r.s.SetProcesses(list)
		}
	}
}

func (r *Recorder) addSamples(m Meta) {
	xs := make([]Sample, len(r.samples))
	for i, x := range r.samples {
		xs[i] = m.SampleOf(x)
	}
	r.s.AddSamples(xs)
}
