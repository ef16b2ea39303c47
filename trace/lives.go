package trace

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
)

// lifeEvery is how often is looked whether a new life has begun.
const lifeEvery = 5 * time.Millisecond

// Life is what a Tracer tells of one life of its target. Its methods are those of
// the Tracer, and may be called from several goroutines.
//
// A container that is started again lives again: often in a cgroup of the same
// name, but what it calls then is another story, with a boot of its own. The
// kernel notes when an armed cgroup is made although the program had begun, and
// here all that it tells is cut at that time. The cut is exact for the program:
// between that time and the exec of its program a runtime makes calls of its own,
// which are a group of their own, for longer than lifeEvery.
type Life struct {
	of        *lives
	startSeen bool
	began     uint64 // 0: before the tracer was opened, or not yet
	before    Lost   // what was lost before it began

	// Guarded by of.mu.
	over    bool
	closed  bool
	first   *Snapshot // its share of the snapshot that was cut, until it is taken
	last    *Snapshot // the same, of a life that is over
	events  []Event
	samples []Sample
	args    []ArgRow // of a life that is over
	procs   []ProcRow
}

// lives are the lives of one Tracer's target.
type lives struct {
	t     *Tracer
	mu    sync.Mutex
	now   *Life  // the one that goes on
	known uint32 // new lives that now is the last of
	open  int    // lives that were not closed
	next  *next  // nil: the next one is not waited for
}

// next is who waits for the next life.
type next struct {
	begun func(*Life)
	names []string
	known uint32
	quit  chan struct{}
}

// Life returns the life that goes on, or that an armed Tracer waits for. It begins
// now, or with the first call if that came before. It is called once; from then on
// the Tracer is closed by closing the Life and those that follow it.
func (t *Tracer) Life() *Life {
	x := &lives{t: t, open: 1}
	x.known, _ = t.lives()
	x.now = &Life{of: x, startSeen: t.startSeen}
	// An armed tracer may have waited for hours.
	if s, err := t.Snapshot(); err == nil && len(s.Rows) > 0 {
		s.Start = s.Rows[0].First
		for _, r := range s.Rows {
			s.Start = min(s.Start, r.First)
		}
		x.now.first = &s
	}
	return x.now
}

// lives is how many new lives of the target began since the Tracer was opened, and
// when the last of them did.
func (t *Tracer) lives() (n uint32, at uint64) {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return 0, 0
	}
	n = atomic.LoadUint32(&t.control.Lives)
	return n, atomic.LoadUint64(&t.control.LifeAt)
}

// Follow waits for the next life of a target that is a cgroup: for one of the leaf
// names to be made. Then this life is over, and begun is called with the next one,
// on a goroutine of its own; the callee closes it. Closing this life ends the wait.
func (l *Life) Follow(begun func(*Life), names ...string) error {
	x := l.of
	x.mu.Lock()
	defer x.mu.Unlock()
	if l.over {
		return io.EOF
	}
	if err := x.t.Arm(max(1, x.t.Taken()), names...); err != nil {
		return err
	}
	x.next = &next{begun, names, x.known, make(chan struct{})}
	go x.wait(x.next)
	return nil
}

// wait cuts at the next life as soon as it begins.
func (x *lives) wait(n *next) {
	every := time.NewTicker(lifeEvery)
	defer every.Stop()
	for {
		select {
		case <-n.quit:
			return
		case <-every.C:
		}
		if began, _ := x.t.lives(); began != n.known {
			x.mu.Lock()
			if x.next == n { // else a snapshot was faster
				_, _ = x.cut() // what fails now is tried again
			}
			x.mu.Unlock()
		}
	}
}

// cut takes a snapshot. If a new life has begun that is waited for, it shares out
// what there is.
func (x *lives) cut() (Snapshot, error) {
	s, err := x.t.Snapshot()
	began, at := x.t.lives()
	if err != nil || began == x.known || x.next == nil {
		return s, err
	}
	n, old, next := x.next, x.now, &Life{of: x, startSeen: true, began: at, before: s.Lost}
	x.t.Disarm(n.names...)
	x.now, x.known, x.next = next, began, nil
	x.open++
	close(n.quit)
	for _, e := range x.t.Events(nil) {
		side := old.or(next, e.Time >= at)
		side.events = append(side.events, e)
	}
	for _, e := range x.t.Samples(nil) {
		side := old.or(next, e.Time >= at)
		side.samples = append(side.samples, e)
	}
	old.last, next.first = share(s, at, next.exec())
	old.args, _ = x.t.Arguments() // what cannot be read is as it was seen last
	old.procs, _ = x.t.Processes()
	old.over = true
	x.t.forget(at)
	go n.begun(next)
	return s, nil
}

// or returns the later of two lives when late is set.
func (l *Life) or(next *Life, late bool) *Life {
	if late {
		return next
	}
	return l
}

// exec reports whether the program has begun.
func (l *Life) exec() bool {
	return slices.ContainsFunc(l.events, func(e Event) bool { return e.Kind == EventExec && e.Group == Main })
}

// share cuts a snapshot at the time at which a new life began. A row with uses
// before and after belongs to the old one alone, unless the new one's program had
// begun, or it is the runtime's: then it is in both, for it may be of both.
func share(s Snapshot, at uint64, begun bool) (old, next *Snapshot) {
	old = &Snapshot{Start: s.Start, End: s.End, Lost: s.Lost}
	next = &Snapshot{Start: min(at, s.End), End: s.End, Lost: s.Lost}
	for _, r := range s.Rows {
		if r.First < at {
			old.Rows = append(old.Rows, r)
		}
		if r.First >= at || r.Last > at && (begun || r.Group == Init) {
			r.First = max(r.First, at)
			next.Rows = append(next.Rows, r)
		}
	}
	return old, next
}

// Snapshot is the Tracer's. After the last one of a life that is over it returns
// io.EOF.
func (l *Life) Snapshot() (Snapshot, error) {
	x := l.of
	x.mu.Lock()
	defer x.mu.Unlock()
	if l.first == nil && !l.over {
		s, err := x.cut()
		if err != nil || !l.over {
			s.Lost = s.Lost.since(l.before)
			return s, err
		}
	}
	for _, share := range []**Snapshot{&l.first, &l.last} {
		if s := *share; s != nil {
			*share = nil
			s.Lost = s.Lost.since(l.before)
			return *s, nil
		}
	}
	return Snapshot{}, io.EOF
}

// Events is the Tracer's.
func (l *Life) Events(dst []Event) []Event {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	dst, l.events = append(dst, l.events...), nil
	if l.ended() {
		return dst
	}
	return l.of.t.Events(dst)
}

// Samples is the Tracer's.
func (l *Life) Samples(dst []Sample) []Sample {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	dst, l.samples = append(dst, l.samples...), nil
	if l.ended() {
		return dst
	}
	return l.of.t.Samples(dst)
}

// ended reports whether what the tracer tells now is of a later life, even if it is
// not cut yet. Locked by the caller.
func (l *Life) ended() bool {
	began, _ := l.of.t.lives()
	return l.over || l.of.next != nil && began != l.of.known
}

// Pids is the Tracer's. Of a life that is over there are none.
func (l *Life) Pids() []int {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.ended() {
		return nil
	}
	return l.of.t.Pids()
}

// Arguments is the Tracer's.
func (l *Life) Arguments() ([]ArgRow, error) {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.over {
		return l.args, nil
	}
	rows, err := l.of.t.Arguments()
	for i := range rows {
		rows[i].First = max(rows[i].First, l.began)
	}
	return rows, err
}

// Processes is the Tracer's.
func (l *Life) Processes() ([]ProcRow, error) {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.over {
		return l.procs, nil
	}
	return l.of.t.Processes()
}

// StartSeen is the Tracer's.
func (l *Life) StartSeen() bool { return l.startSeen }

// Over reports whether a later life has begun. What the Tracer says is then no
// longer of this one.
func (l *Life) Over() bool {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	return l.over
}

// Close ends the wait for the next life, and closes the Tracer with the last of its
// lives. It may be called twice.
func (l *Life) Close() error {
	x := l.of
	x.mu.Lock()
	defer x.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if n := x.next; n != nil && l == x.now {
		x.next = nil
		close(n.quit)
		x.t.Disarm(n.names...)
	}
	if x.open--; x.open > 0 {
		return nil
	}
	return x.t.Close()
}

// since is what was lost after before.
func (l Lost) since(before Lost) Lost {
	return Lost{
		Table: l.Table - before.Table, Unfollowed: l.Unfollowed - before.Unfollowed,
		SamplesDropped: l.SamplesDropped - before.SamplesDropped, SamplesSkipped: l.SamplesSkipped - min(l.SamplesSkipped, before.SamplesSkipped),
		EventsDropped: l.EventsDropped - before.EventsDropped, JudgedDropped: l.JudgedDropped - before.JudgedDropped,
		ArgsDropped: l.ArgsDropped - before.ArgsDropped,
	}
}

// forget ends what was begun for the life before, and drops what its processes and
// argument values were counted to: all rows last used before at. What the runtime
// called in both lives goes too: its values matter to nobody.
func (t *Tracer) forget(at uint64) {
	_ = t.Judge(nil)          // fails only when
	_ = t.WatchDenials(false) // the tracer is closed
	unlock, err := t.useRows()
	if err != nil {
		return
	}
	defer unlock()
	for _, m := range []*ebpf.Map{t.objs.ByProcess, t.objs.Judged, t.objs.Denied} {
		_ = drop(m, func(_ bpfRowKey, r bpfRow) bool { return r.Last < at })
	}
	_ = drop(t.objs.Arguments, func(k bpfArgKey, r bpfArgRow) bool {
		return r.Last < at || r.First < at && Group(k.Group) == Init
	})
}
