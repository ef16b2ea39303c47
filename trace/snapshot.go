package trace

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// now is CLOCK_MONOTONIC in nanoseconds, the clock of the kernel programs.
func now() uint64 {
	var ts unix.Timespec
	// It cannot fail: the clock exists and the pointer is good.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return uint64(ts.Nano())
}

// Snapshot ends the epoch and returns it. Rows are ordered by group, ABI and
// number; every call is in exactly one epoch. A call that is being counted as
// the epoch begins may carry a First some nanoseconds before Start, and after a
// Snapshot that failed as much as the epoch before it. It takes as
// long as the kernel needs for a grace period, 10 to 30 ms as a rule.
func (t *Tracer) Snapshot() (Snapshot, error) {
	t.life.RLock()
	defer t.life.RUnlock()
	t.epoch.Lock()
	defer t.epoch.Unlock()
	if t.closed {
		return Snapshot{}, ErrClosed
	}
	old, past := t.ticks.flip()
	if err := t.barrier.wait(); err != nil {
		// The old half stays as it is and is read when its turn comes again.
		t.ticks.unflip(past)
		return Snapshot{}, err
	}
	s := Snapshot{Start: t.start, End: past[len(past)-1].after}
	t.start = s.End
	if !t.cut { // while it waited for a cgroup there was nothing to watch
		s.Start = max(s.Start, min(atomic.LoadUint64(&t.control.TakenAt), s.End))
	}
	t.cut = true
	s.Rows = t.collect(int(old&1), past)
	for _, r := range s.Rows {
		t.calls += r.Count
	}
	lost, err := t.lost()
	s.Lost = lost
	return s, err
}

// collect adds the CPUs' blocks of one half up, and clears them.
func (t *Tracer) collect(half int, past []border) []Row {
	var rows []Row
	for i := range tableBlocks {
		var sum [tableNrs]bpfCell
		var used bool
		for cpu := range t.cpus.elem {
			b := &t.cpus.elem[cpu].Block[half*tableBlocks+i]
			if b.Used == 0 {
				continue
			}
			used = true
			for nr := range b.Cell {
				add(&sum[nr], b.Cell[nr], past)
			}
			clear(b.Cell[:])
			b.Used = 0
		}
		if !used {
			continue
		}
		for nr := range sum {
			if c := &sum[nr]; c.Count > 0 {
				rows = append(rows, Row{Group(i / tableABIs), abiOf(i % tableABIs), uint32(nr), c.Count, c.First, c.Last})
			}
		}
	}
	return rows
}

// add adds a CPU's cell. Its first use carries its own time, the last one that
// of its tick.
func add(to *bpfCell, c bpfCell, past []border) {
	if c.Count == 0 {
		return
	}
	last := c.Last
	c.First = min(c.First, past[len(past)-1].after) // see end
	if c.Last = c.First; c.Count > 1 {
		c.Last = end(past, last)
	}
	if to.Count == 0 || c.First < to.First {
		to.First = c.First
	}
	to.Last = max(to.Last, c.Last)
	to.Count += c.Count
}

// lost reads the counters of what was not seen.
func (t *Tracer) lost() (Lost, error) {
	var l Lost
	var sent uint64
	for i := range t.cpus.elem {
		c := &t.cpus.elem[i]
		l.Table += atomic.LoadUint64(&c.Lost)
		l.Unfollowed += atomic.LoadUint64(&c.Unfollowed)
		sent += atomic.LoadUint64(&c.Sent)
		l.SamplesDropped += atomic.LoadUint64(&c.Dropped)
		l.EventsDropped += atomic.LoadUint64(&c.EventsDropped)
		l.ArgsDropped += atomic.LoadUint64(&c.ArgsDropped)
		l.JudgedDropped += atomic.LoadUint64(&c.RowsDropped)
	}
	if seen := sent + l.SamplesDropped; t.calls > seen { // samples are ahead of the epoch's counts
		l.SamplesSkipped = t.calls - seen
	}
	stats, err := t.objs.OnEnter.Stats()
	if err != nil {
		return l, fmt.Errorf("read eBPF statistics: %w", err)
	}
	l.Table += stats.RecursionMisses
	return l, nil
}
