package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// ErrClosed is returned by a Tracer that was closed.
var ErrClosed = errors.New("tracer is closed")

// Sizes that the C side fixes.
const (
	tableABIs   = len(bpfControl{}.Allow)
	tableNrs    = len(bpfControl{}.Allow[0])
	tableGroups = int(Exec) + 1
	tableBlocks = tableGroups * tableABIs // of one half
	chunkSlots  = len(bpfChunk{}.Slot)
	maxPids     = 1 << 22 // the most that pid_max can be
)

// objects adds to what bpf2go names the memory of two variables.
type objects struct {
	bpfObjects
	Control *ebpf.Map `ebpf:".data.control"`
	States  *ebpf.Map `ebpf:".bss"`
}

// States of a process, as in bpf/trace.bpf.c.
const (
	stateRuntime     = 1 + uint32(Init)
	stateMain        = 1 + uint32(Main)
	stateRuntimeExec = 4 | stateRuntime
)

// watched is what the kernel's programs know processes and threads by: a byte for
// each pid, and then what is theirs alone.
type watched [(maxPids + 4<<18) / 8]uint64

// Tracer watches one target. Its methods may be called from several goroutines.
type Tracer struct {
	// Close takes life; everybody else shares it. The epoch and the rows have a
	// lock each besides, and the rings: who drains samples for a screen must not
	// wait for a snapshot's grace period.
	life    sync.RWMutex
	epoch   sync.Mutex
	rows    sync.Mutex
	closed  bool
	objs    objects
	class   [tableABIs][tableNrs]uint32
	links   []link.Link
	memory  mapped[bpfControl]
	control *bpfControl // in memory
	cpus    mapped[bpfCpu]
	states  mapped[watched]
	slots   mapped[bpfChunk]
	barrier *barrier
	samples *ring
	events  *ring
	denials link.Link // sys_exit; nil: not watched

	start     uint64 // of the current epoch
	ticks     ticks
	calls     uint64 // calls of all epochs
	cut       bool   // an epoch was ended
	startSeen bool
}

// Open loads the programs, attaches them and marks the processes that are in the
// target already. Whatever the target does after Open returned is counted. The
// caller closes the Tracer. See Supported for what Open needs.
func Open(c Config) (*Tracer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	t := &Tracer{class: classes()}
	if err := t.open(c); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Tracer) open(c Config) error {
	where := unified
	var ids []uint64
	var err error
	switch {
	case c.CgroupPath != "":
		where, ids, err = findCgroup(c.CgroupPath)
	case c.arms():
		where, err = hierarchyByController(c.Controller)
	}
	if err != nil {
		return fmt.Errorf("find cgroup: %w", err)
	}
	if err := t.load(c, where); err != nil {
		return err
	}
	if err := t.mapAll(); err != nil {
		return err
	}
	for _, id := range ids {
		if err := t.objs.Cgroups.Put(id, uint8(1)); err != nil {
			return fmt.Errorf("tell the kernel of cgroup %d: %w", id, err)
		}
	}
	if err := t.arm(1, c.Arm); err != nil {
		return err
	}
	return t.begin(c)
}

// findCgroup returns a cgroup directory's hierarchy and the ids of it and of
// those below.
func findCgroup(path string) (hierarchy, []uint64, error) {
	if !filepath.IsAbs(path) {
		return hierarchy{}, nil, fmt.Errorf("%s: not an absolute path", path)
	}
	path, err := filepath.EvalSymlinks(path) // "cpu" may link to "cpu,cpuacct"
	if err != nil {
		return hierarchy{}, nil, err
	}
	where, err := hierarchyOf(path)
	if err != nil {
		return hierarchy{}, nil, err
	}
	ids, err := cgroupIDs(path)
	return where, ids, err
}

// load sizes the maps, sets the constants and loads everything.
func (t *Tracer) load(c Config, where hierarchy) error {
	spec, err := loadBpf()
	if err != nil {
		return fmt.Errorf("read eBPF object: %w", err)
	}
	ncpu, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	pids, err := pidMax()
	if err != nil {
		return fmt.Errorf("read pid_max: %w", err)
	}
	spec.Maps[bpfMapCpus].MaxEntries = uint32(ncpu)
	spec.Maps[bpfMapSlots].MaxEntries = uint32((pids + chunkSlots - 1) / chunkSlots)
	spec.Maps[bpfMapSamples].MaxEntries = ringSize(c.sampleRate() * ncpu)
	for name, value := range map[string]any{
		bpfVarSubsys: where.subsys, bpfVarHierarchy: where.id,
		bpfVarRootPid: uint32(c.Pid), bpfVarAnyExec: c.SameMountNS,
		bpfVarTickSamples: uint32((c.sampleRate() + ticksPerSecond - 1) / ticksPerSecond), bpfVarClass: t.class,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s in eBPF object: %w", name, err)
		}
	}
	if err := spec.LoadAndAssign(&t.objs, nil); err != nil {
		return fmt.Errorf("load eBPF programs: %w", err)
	}
	return nil
}

// ringSize is a ring for half a second of samples at the given rate: readers
// come ten times a second.
func ringSize(rate int) uint32 {
	want := rate / 2 * (int(unsafe.Sizeof(bpfSample{})) + 8)
	size := 1 << 20
	for size < want && size < 1<<25 {
		size *= 2
	}
	return uint32(size)
}

func pidMax() (int, error) {
	b, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err == nil && (n <= 0 || n > maxPids) {
		err = fmt.Errorf("%d is out of range", n)
	}
	return n, err
}

func (t *Tracer) mapAll() (err error) {
	if t.memory, err = mapMemory[bpfControl](t.objs.Control); err != nil {
		return err
	}
	t.control = &t.memory.elem[0]
	if t.cpus, err = mapMemory[bpfCpu](t.objs.Cpus); err != nil {
		return err
	}
	if t.states, err = mapMemory[watched](t.objs.States); err != nil {
		return err
	}
	if t.slots, err = mapMemory[bpfChunk](t.objs.Slots); err != nil {
		return err
	}
	if t.samples, err = newRing(t.objs.Samples); err != nil {
		return fmt.Errorf("open ring of samples: %w", err)
	}
	if t.events, err = newRing(t.objs.Events); err != nil {
		return fmt.Errorf("open ring of events: %w", err)
	}
	t.barrier, err = newBarrier()
	return err
}

// begin attaches the programs and marks the processes that are there already.
// Until that is done, whoever forks or comes is taken for one of them.
func (t *Tracer) begin(c Config) error {
	there, later := stateMain, stateRuntimeExec
	if c.Waiting || c.arms() {
		there, later = stateRuntime, stateRuntime
	}
	ctl := t.control
	atomic.StoreUint32(&ctl.Newcomer, there)
	atomic.StoreUint32(&ctl.Tick, 1) // 0 is calm
	if c.ByProcess {
		atomic.StoreUint32(&ctl.Naming, 1)
	}
	t.start = now()
	progs := []*ebpf.Program{t.objs.OnFork, t.objs.OnExec, t.objs.OnExit, t.objs.OnSignal}
	if c.Pid == 0 {
		progs = append(progs, t.objs.OnMkdir, t.objs.OnRmdir, t.objs.OnAttach, t.objs.OnFrozen)
	}
	for _, p := range append(progs, t.objs.OnEnter) {
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return fmt.Errorf("attach %s: %w", p, err)
		}
		t.links = append(t.links, l)
	}
	t.ticks.begin(t.control)
	if c.arms() {
		t.startSeen = true
		return nil
	}
	// Twice, for a tree: a child of a process that was not marked yet may have
	// got a number which the first pass had gone by.
	for range 2 {
		if err := runSeed(t.objs.Seed); err != nil {
			return fmt.Errorf("mark the target's processes: %w", err)
		}
	}
	if atomic.LoadUint64(&ctl.Seeded) == 0 {
		if c.Pid != 0 {
			return fmt.Errorf("process %d is gone", c.Pid)
		}
		later = stateRuntime
	}
	t.startSeen = c.Waiting || atomic.LoadUint64(&ctl.Seeded) == 0
	// An exec of a waiting launcher may have moved it on already.
	atomic.CompareAndSwapUint32(&ctl.Newcomer, there, later)
	return nil
}

// runSeed has the kernel go over all its tasks once.
func runSeed(p *ebpf.Program) error {
	it, err := link.AttachIter(link.IterOptions{Program: p})
	if err != nil {
		return err
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// StartSeen reports whether the Tracer was there before the target's first call.
func (t *Tracer) StartSeen() bool { return t.startSeen }

// Pids returns the processes that are in the target now, by their numbers in the
// host's pid namespace, ascending. After Close there are none.
func (t *Tracer) Pids() []int {
	t.life.RLock()
	defer t.life.RUnlock()
	// Nearly all of it is zero, and a comparison of memory goes over that at
	// several times the speed of a loop.
	var zero [4096]byte
	var pids []int
	for at := 0; at < min(len(t.states.raw), maxPids); at += len(zero) { // after Close there is none
		page := t.states.raw[at : at+len(zero)]
		if bytes.Equal(page, zero[:]) {
			continue
		}
		for i, state := range page {
			if state != 0 {
				pids = append(pids, at+i)
			}
		}
	}
	return pids
}

// Close detaches everything and frees it. Calls made after it return ErrClosed
// or nothing. It may be called twice.
func (t *Tracer) Close() error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	var errs []error
	if t.denials != nil {
		errs = append(errs, t.denials.Close())
	}
	t.ticks.stop()
	for i := len(t.links) - 1; i >= 0; i-- {
		errs = append(errs, t.links[i].Close())
	}
	for _, r := range []*ring{t.samples, t.events} {
		if r != nil {
			errs = append(errs, r.close())
		}
	}
	if t.barrier != nil {
		errs = append(errs, t.barrier.close())
	}
	errs = append(errs, t.memory.unmap(), t.cpus.unmap(), t.states.unmap(), t.slots.unmap())
	if t.objs.OnEnter != nil {
		errs = append(errs, t.objs.Control.Close(), t.objs.States.Close(), t.objs.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close tracer: %w", err)
	}
	return nil
}
