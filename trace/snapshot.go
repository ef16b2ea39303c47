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
// the epoch begins may carry a First some nanoseconds before Start. It takes as
// long as the kernel needs for a grace period, 10 to 30 ms as a rule.
func (t *Tracer) Snapshot() (Snapshot, error) {
	t.life.RLock()
	defer t.life.RUnlock()
	t.epoch.Lock()
	defer t.epoch.Unlock()
	if t.closed {
		return Snapshot{}, ErrClosed
	}
	epoch := &t.control.elem[0].Epoch
	old := atomic.AddUint32(epoch, 1) - 1
	s := Snapshot{Start: t.start, End: now()}
	if err := t.barrier.wait(); err != nil {
		// The old half stays as it is and is read when its turn comes again.
		atomic.AddUint32(epoch, ^uint32(0))
		return Snapshot{}, err
	}
	t.start = s.End
	if !t.cut { // while it waited for a cgroup there was nothing to watch
		s.Start = max(s.Start, min(atomic.LoadUint64(&t.control.elem[0].TakenAt), s.End))
	}
	t.cut = true
	s.Rows = t.collect(int(old & 1))
	lost, err := t.lost()
	s.Lost = lost
	return s, err
}

// collect adds the CPUs' blocks of one half up, and clears them.
func (t *Tracer) collect(half int) []Row {
	var rows []Row
	ncpu := len(t.cpus.elem)
	for group := range tableGroups {
		for abi := range tableABIs {
			var sum [tableNrs]bpfCell
			var used bool
			for cpu := range ncpu {
				b := &t.table.elem[((half*ncpu+cpu)*tableGroups+group)*tableABIs+abi]
				if b.Used == 0 {
					continue
				}
				used = true
				for nr := range b.Cell {
					add(&sum[nr], &b.Cell[nr])
				}
				*b = bpfBlock{}
			}
			if !used {
				continue
			}
			for nr := range sum {
				if c := &sum[nr]; c.Count > 0 {
					rows = append(rows, Row{Group(group), ABI(abi), uint32(nr), c.Count, c.First, c.Last})
				}
			}
		}
	}
	return rows
}

func add(to, c *bpfCell) {
	if c.Count == 0 {
		return
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
	for i := range t.cpus.elem {
		c := &t.cpus.elem[i]
		l.Table += atomic.LoadUint64(&c.Lost)
		l.SamplesSkipped += atomic.LoadUint64(&c.Skipped)
		l.SamplesDropped += atomic.LoadUint64(&c.Dropped)
		l.EventsDropped += atomic.LoadUint64(&c.EventsDropped)
		l.JudgedDropped += atomic.LoadUint64(&c.RowsDropped)
	}
	stats, err := t.objs.OnEnter.Stats()
	if err != nil {
		return l, fmt.Errorf("read eBPF statistics: %w", err)
	}
	l.Table += stats.RecursionMisses
	return l, nil
}
