package trace

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Entries tells of the processes that come into a target from outside, as soon as
// they do: the container runtime's on their way to the exec of a program. Calls are
// not looked at, so that it costs the processes of the host nothing but a little
// of each fork, exec and exit.
type Entries struct {
	objs    entriesObjects
	links   []link.Link
	memory  mapped[bpfControl]
	control *bpfControl
	events  *ring
}

// entriesObjects are the programs and maps that it needs, of those of a Tracer.
type entriesObjects struct {
	OnFork   *ebpf.Program `ebpf:"on_fork"`
	OnExec   *ebpf.Program `ebpf:"on_exec"`
	OnExit   *ebpf.Program `ebpf:"on_exit"`
	OnAttach *ebpf.Program `ebpf:"on_attach"`
	OnMkdir  *ebpf.Program `ebpf:"on_mkdir"`
	OnRmdir  *ebpf.Program `ebpf:"on_rmdir"`
	Seed     *ebpf.Program `ebpf:"seed"`
	Cgroups  *ebpf.Map     `ebpf:"cgroups"`
	Armed    *ebpf.Map     `ebpf:"armed"`
	Events   *ebpf.Map     `ebpf:"events"`
	Control  *ebpf.Map     `ebpf:".data.control"`
}

func (o *entriesObjects) close() error {
	var errs []error
	for _, c := range []io.Closer{o.OnFork, o.OnExec, o.OnExit, o.OnAttach, o.OnMkdir, o.OnRmdir, o.Seed, o.Cgroups, o.Armed, o.Events, o.Control} {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// EntriesConfig says whose entries are told: those into a cgroup that exists, into
// those that will be made of the leaf names, or both; see Config, whose fields these
// are.
type EntriesConfig struct {
	CgroupPath  string
	Arm         []string
	Controller  string // of Arm, where there is no CgroupPath
	SameMountNS bool
}

// OpenEntries begins to watch. Whoever comes in after it returned is told of. The
// caller closes it. It needs what a Tracer does, see Supported.
func OpenEntries(c EntriesConfig) (*Entries, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	e := &Entries{}
	if err := e.open(c); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Entries) open(c EntriesConfig) error {
	if err := checkLeafs(c.Arm); err != nil {
		return err
	}
	var where hierarchy
	var ids []uint64
	var err error
	if c.CgroupPath != "" {
		where, ids, err = findCgroup(c.CgroupPath)
	} else {
		where, err = hierarchyByController(c.Controller)
	}
	if err != nil {
		return fmt.Errorf("find cgroup: %w", err)
	}
	if err := e.load(where, c.SameMountNS); err != nil {
		return err
	}
	for _, id := range ids {
		if err := e.objs.Cgroups.Put(id, uint8(1)); err != nil {
			return fmt.Errorf("tell the kernel of cgroup %d: %w", id, err)
		}
	}
	if err := armNames(e.objs.Armed, 1, c.Arm); err != nil {
		return err
	}
	return e.begin(c)
}

func (e *Entries) load(where hierarchy, anyExec bool) error {
	spec, err := loadBpf()
	if err != nil {
		return fmt.Errorf("read eBPF object: %w", err)
	}
	for name, value := range map[string]any{
		bpfVarSubsys: where.subsys, bpfVarHierarchy: where.id, bpfVarAnyExec: anyExec, bpfVarEntries: true,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s in eBPF object: %w", name, err)
		}
	}
	if err := spec.LoadAndAssign(&e.objs, nil); err != nil {
		return fmt.Errorf("load eBPF programs: %w", err)
	}
	if e.memory, err = mapMemory[bpfControl](e.objs.Control); err != nil {
		return err
	}
	e.control = &e.memory.elem[0]
	if e.events, err = newRing(e.objs.Events); err != nil {
		return fmt.Errorf("open ring of events: %w", err)
	}
	return nil
}

// begin attaches the programs, and marks who is there already: they have not come
// in. Until that is done, whoever comes is taken for one of them.
func (e *Entries) begin(c EntriesConfig) error {
	there := stateMain
	if c.CgroupPath == "" {
		there = stateRuntime
	}
	atomic.StoreUint32(&e.control.Newcomer, there)
	o := &e.objs
	for _, p := range []*ebpf.Program{o.OnFork, o.OnExec, o.OnExit, o.OnMkdir, o.OnRmdir, o.OnAttach} {
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return fmt.Errorf("attach %s: %w", p, err)
		}
		e.links = append(e.links, l)
	}
	if c.CgroupPath == "" {
		return nil
	}
	if err := runSeed(o.Seed); err != nil {
		return fmt.Errorf("mark the target's processes: %w", err)
	}
	later := stateRuntimeExec
	if atomic.LoadUint64(&e.control.Seeded) == 0 {
		later = stateRuntime
	}
	atomic.CompareAndSwapUint32(&e.control.Newcomer, there, later)
	return nil
}

// FD becomes readable (poll(2)) when there is something for Take. It is closed by Close.
func (e *Entries) FD() int { return e.objs.Events.FD() }

// Take appends the facts about processes that are on their way in to dst: EventEnter,
// EventFork, EventExec (of the group Init while it is the runtime's own), EventExit,
// EventLeave. Those of a process that has begun its program are not told. It never
// waits.
func (e *Entries) Take(dst []Event) []Event {
	e.events.drain(func(raw []byte) {
		if x, ok := eventOf(raw); ok {
			dst = append(dst, x)
		}
	})
	return dst
}

// Close detaches everything and frees it.
func (e *Entries) Close() error {
	var errs []error
	for _, l := range e.links {
		errs = append(errs, l.Close())
	}
	if e.events != nil {
		errs = append(errs, e.events.close())
	}
	errs = append(errs, e.memory.unmap())
	return errors.Join(append(errs, e.objs.close())...)
}
