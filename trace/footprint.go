package trace

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Memory is what a Tracer holds of the kernel's memory, in bytes, as the kernel
// counts it (before Linux 6.4: estimates it). All tables have their full size
// from Open on: no target, however it behaves, makes a Tracer grow, and what a
// table cannot take is counted in Lost. It ends with the process that opened the
// Tracer, even if that is killed.
type Memory struct {
	Counts   uint64 // calls: 443 KiB for each possible CPU
	Pids     uint64 // states and threads: 5 MiB, and 4 bytes for each possible pid
	Rows     uint64 // per process and per argument, with room for the cgroups
	Rings    uint64 // samples: 1 MiB, up to 32 at high rates and on many CPUs; events: 1 MiB
	Programs uint64
}

// Total is the sum.
func (m Memory) Total() uint64 { return m.Counts + m.Pids + m.Rows + m.Rings + m.Programs }

// Memory asks the kernel for what the Tracer holds.
func (t *Tracer) Memory() (Memory, error) {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return Memory{}, ErrClosed
	}
	o := &t.objs
	var m Memory
	for _, part := range []struct {
		sum  *uint64
		maps []*ebpf.Map
	}{
		{&m.Counts, []*ebpf.Map{o.Cpus, o.Control, t.barrier.inner, t.barrier.outer}},
		{&m.Pids, []*ebpf.Map{o.States, o.Slots}},
		{&m.Rows, []*ebpf.Map{o.Judged, o.Denied, o.ByProcess, o.Arguments, o.Cgroups, o.Armed, o.Entered}},
		{&m.Rings, []*ebpf.Map{o.Samples, o.Events}},
	} {
		for _, table := range part.maps {
			info, err := table.Info()
			if err != nil {
				return m, fmt.Errorf("ask for the size of %s: %w", table, err)
			}
			n, _ := info.Memlock()
			if info.Type == ebpf.RingBuf {
				n = max(n, uint64(info.MaxEntries)) // the estimate leaves rings out
			}
			*part.sum += n
		}
	}
	for _, p := range []*ebpf.Program{o.OnEnter, o.OnReturn, o.OnFork, o.OnExec, o.OnExit, o.OnSignal,
		o.OnMkdir, o.OnRmdir, o.OnAttach, o.OnFrozen, o.Seed} {
		info, err := p.Info()
		if err != nil {
			return m, fmt.Errorf("ask for the size of %s: %w", p, err)
		}
		n, _ := info.Memlock()
		m.Programs += n
	}
	return m, nil
}
