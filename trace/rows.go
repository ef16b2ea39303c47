package trace

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// useRows locks the tables of rows, until unlock, in a Tracer that is open.
func (t *Tracer) useRows() (unlock func(), err error) {
	t.life.RLock()
	if t.closed {
		t.life.RUnlock()
		return nil, ErrClosed
	}
	t.rows.Lock()
	return func() { t.rows.Unlock(); t.life.RUnlock() }, nil
}

// Judge begins a dry run: from now on the kernel counts, per process, the calls
// of the program and of later execs which allowed does not allow. Nothing is
// denied. A new run forgets the rows of the one before; nil ends the run and
// keeps its rows. At most 16384 rows are kept, Lost.JudgedDropped counts the
// calls beyond.
func (t *Tracer) Judge(allowed func(ABI, uint32) bool) error {
	unlock, err := t.useRows()
	if err != nil {
		return err
	}
	defer unlock()
	ctl := t.control
	atomic.StoreUint32(&ctl.Judging, 0)
	if allowed == nil {
		return nil
	}
	if err := t.barrier.wait(); err != nil { // until no call is judged by the old set
		return err
	}
	if err := clearRows(t.objs.Judged); err != nil {
		return err
	}
	t.allow(allowed)
	atomic.StoreUint32(&ctl.Judging, 1)
	t.ticks.hurry()
	return nil
}

// Rejudge changes what a dry run under way judges by, and keeps its rows.
func (t *Tracer) Rejudge(allowed func(ABI, uint32) bool) error {
	unlock, err := t.useRows()
	if err != nil {
		return err
	}
	defer unlock()
	t.allow(allowed)
	return nil
}

// allow writes the set that calls are judged by. The kernel reads it meanwhile,
// byte by byte: each call is judged by its old or its new verdict.
func (t *Tracer) allow(allowed func(ABI, uint32) bool) {
	for abi := range t.control.Allow {
		for nr := range t.control.Allow[abi] {
			verdict := uint8(0)
			if allowed(abiOf(abi), uint32(nr)) {
				verdict = 1
			}
			t.control.Allow[abi][nr] = verdict
		}
	}
}

// Judged returns what the dry run counted so far, by pid, ABI and number.
func (t *Tracer) Judged() ([]ProcRow, error) {
	return t.counted(t.objs.Judged)
}

// WatchDenials begins or ends counting, per process, the calls that seccomp
// refused or answered itself. It slows every call of the host by some 70 ns
// while it is on. A thread's first refused call is missed if the thread made no
// call since it was switched on. Switching it on forgets earlier rows.
func (t *Tracer) WatchDenials(on bool) error {
	unlock, err := t.useRows()
	if err != nil {
		return err
	}
	defer unlock()
	if on == (t.denials != nil) {
		return nil
	}
	ctl := t.control
	if !on {
		err := t.denials.Close()
		t.denials = nil
		atomic.StoreUint32(&ctl.Watching, 0)
		return err
	}
	if err := clearRows(t.objs.Denied); err != nil {
		return err
	}
	for i := range t.slots.elem {
		for j := range t.slots.elem[i].Slot {
			t.slots.elem[i].Slot[j].Call = 0
		}
	}
	// Entries must be noted before exits are looked at, or each call that is
	// under way at this moment would look like a denial.
	atomic.StoreUint32(&ctl.Watching, 1)
	t.ticks.hurry()
	err = t.barrier.wait()
	if err == nil {
		t.denials, err = link.AttachTracing(link.TracingOptions{Program: t.objs.OnReturn})
	}
	if err != nil {
		atomic.StoreUint32(&ctl.Watching, 0)
		return fmt.Errorf("attach to the ends of calls: %w", err)
	}
	return nil
}

// Denials returns the denials counted so far, by pid, ABI, number and error.
func (t *Tracer) Denials() ([]ProcRow, error) {
	return t.counted(t.objs.Denied)
}

// WatchProcesses begins or ends counting calls per process too. It slows the
// target's own calls by some 70 ns while it is on; the table has 16384 rows, and
// Lost.JudgedDropped counts the calls that met it full. Switching it on forgets
// earlier rows.
func (t *Tracer) WatchProcesses(on bool) error {
	unlock, err := t.useRows()
	if err != nil {
		return err
	}
	defer unlock()
	naming := &t.control.Naming
	if on == (atomic.LoadUint32(naming) != 0) {
		return nil
	}
	if !on {
		atomic.StoreUint32(naming, 0)
		return nil
	}
	if err := t.barrier.wait(); err != nil {
		return err
	}
	if err := clearRows(t.objs.ByProcess); err != nil {
		return err
	}
	atomic.StoreUint32(naming, 1)
	t.ticks.hurry()
	return nil
}

// Processes returns what was counted per process, by pid, ABI and number.
func (t *Tracer) Processes() ([]ProcRow, error) {
	return t.counted(t.objs.ByProcess)
}

// Arguments returns, since the Tracer was opened, how often the calls whose
// arguments decide what they are had which values. It is exact for the first 8192
// different ones; Lost.ArgsDropped counts the calls with others.
func (t *Tracer) Arguments() ([]ArgRow, error) {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return nil, ErrClosed
	}
	keys, rows, err := dump[bpfArgKey, bpfArgRow](t.objs.Arguments)
	if err != nil {
		return nil, err
	}
	out := make([]ArgRow, len(keys))
	for i, k := range keys {
		r := rows[i]
		out[i] = ArgRow{
			Group: Group(k.Group), ABI: abiOf(int(k.Abi)), Nr: k.Nr, N: t.valueCount(k.Abi, k.Nr), Values: k.Value,
			Count: r.Count, First: r.First, Last: r.Last,
		}
	}
	slices.SortFunc(out, func(a, b ArgRow) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ABI, b.ABI), cmp.Compare(a.Nr, b.Nr),
			cmp.Compare(a.Values[0], b.Values[0]), cmp.Compare(a.Values[1], b.Values[1]))
	})
	return out, nil
}

// valueCount is how many argument values of a call are counted.
func (t *Tracer) valueCount(abi uint8, nr uint32) int {
	if t.class[abi][nr]>>moreShift != 0 {
		return 2
	}
	return 1
}

// counted reads one of the tables of rows.
func (t *Tracer) counted(m *ebpf.Map) ([]ProcRow, error) {
	unlock, err := t.useRows()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return readRows(m)
}

func readRows(m *ebpf.Map) ([]ProcRow, error) {
	keys, rows, err := dump[bpfRowKey, bpfRow](m)
	if err != nil {
		return nil, err
	}
	out := make([]ProcRow, len(keys))
	for i, k := range keys {
		r := rows[i]
		out[i] = ProcRow{
			Pid: k.Pid, Comm: cString(r.Comm[:]), Group: Group(r.Group), ABI: abiOf(int(k.Abi)), Nr: k.Nr, Errno: k.Error,
			Count: r.Count, First: r.First, Last: r.Last,
		}
	}
	slices.SortFunc(out, func(a, b ProcRow) int {
		return cmp.Or(cmp.Compare(a.Pid, b.Pid), cmp.Compare(a.ABI, b.ABI),
			cmp.Compare(a.Nr, b.Nr), cmp.Compare(a.Errno, b.Errno))
	})
	return out, nil
}

func clearRows(m *ebpf.Map) error {
	return drop(m, func(bpfRowKey, bpfRow) bool { return true })
}

// drop deletes the rows of a map that which picks.
func drop[K, V any](m *ebpf.Map, which func(K, V) bool) error {
	keys, rows, err := dump[K, V](m)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if !which(k, rows[i]) {
			continue
		}
		if err := m.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("clear rows: %w", err)
		}
	}
	return nil
}

// dump reads a whole hash map, many rows with a system call. Of one that is
// written to meanwhile, some rows may be passed over: they come the next time.
func dump[K, V any](m *ebpf.Map) (keys []K, rows []V, err error) {
	const batch = 1024
	var at ebpf.MapBatchCursor
	for {
		k, r := make([]K, batch), make([]V, batch)
		n, err := m.BatchLookup(&at, k, r, nil)
		keys, rows = append(keys, k[:n]...), append(rows, r[:n]...)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return keys, rows, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read rows: %w", err)
		}
	}
}
