package injector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"speaker/apply/ptrace"
)

// rounds is after how many rounds threads that are made all the time need not
// be followed any more, if the last round found no new chain of filters.
const rounds = 3

// Bounds on a dump. A target may give every thread filters of its own, of 32768
// instructions each; what goes beyond is not looked at, and told so.
const (
	maxFilters = 2000
	maxChains  = 2000
	maxWeight  = 1 << 16 // instructions of all filters, and lengths of all chains
)

// dumper is the state of one opDump.
type dumper struct {
	dump    Dump
	filters map[string]int // their bytes, to the index in dump.Filters
	chains  map[string]int
	weight  int
	seen    map[thread]bool
	told    map[int]bool // pids that are in the dump, as threads or failures
}

// thread tells threads apart that had the same number.
type thread struct {
	tid   int
	start uint64
}

// dumpAll stops every thread in turn, each for a moment, and reads its filters.
// Threads that were made meanwhile are taken up by another round.
func (w *worker) dumpAll() (Dump, error) {
	d := &dumper{filters: map[string]int{}, chains: map[string]int{}, seen: map[thread]bool{}, told: map[int]bool{}}
	for round := range 50 {
		list, err := w.ask(Report{})
		if err != nil {
			return d.dump, err
		}
		fresh, chains := false, len(d.chains)
		for _, p := range list {
			found, err := w.dumpOne(d, p)
			if err != nil {
				return d.dump, err
			}
			fresh = fresh || found
		}
		if !fresh || round >= rounds && len(d.chains) == chains {
			return d.dump, nil
		}
	}
	return d.dump, errors.New("threads appear faster than they can be looked at")
}

// dumpOne looks at the threads of a process that were not looked at yet, and
// says whether there were any.
func (w *worker) dumpOne(d *dumper, p ptrace.Process) (fresh bool, err error) {
	tasks, err := ptrace.Tasks(p.Pid)
	if err != nil && !errors.Is(err, ptrace.ErrGone) {
		d.fail(p.Pid, comm(p.Pid), err)
	}
	for _, task := range tasks {
		if w.left.Load() {
			return fresh, errLeft
		}
		id := thread{task.Tid, task.Start}
		if d.seen[id] {
			continue
		}
		d.seen[id], fresh = true, true
		d.add(p, task)
	}
	// It lives, and shows nothing of itself: that must not pass for nothing.
	if !d.told[p.Pid] && alive(p) {
		d.fail(p.Pid, comm(p.Pid), ptrace.ErrNoThread)
	}
	return fresh, nil
}

func (d *dumper) add(p ptrace.Process, task ptrace.Task) {
	chain, err := chainOf(p, task)
	if errors.Is(err, ptrace.ErrGone) {
		return
	}
	i := 0
	if err == nil {
		i, err = d.intern(chain)
	}
	if err != nil {
		d.fail(p.Pid, task.Comm, err)
		return
	}
	d.told[p.Pid] = true
	d.dump.Threads = append(d.dump.Threads, Thread{Pid: p.Pid, Tid: task.Tid, Comm: task.Comm, Chain: i})
}

// fail tells of a process once in a row: it may have thousands of such threads.
func (d *dumper) fail(pid int, comm string, err error) {
	d.told[pid] = true
	f := Failure{Pid: pid, Comm: comm, Text: err.Error()}
	if n := len(d.dump.Failed); n == 0 || d.dump.Failed[n-1] != f {
		d.dump.Failed = append(d.dump.Failed, f)
	}
}

// chainOf waits for a thread that cannot be stopped right now.
func chainOf(p ptrace.Process, task ptrace.Task) ([][]unix.SockFilter, error) {
	for end := time.Now().Add(patience); ; {
		t, err := ptrace.StopTask(p, task)
		if errors.Is(err, ptrace.ErrBusy) && time.Now().Before(end) {
			ptrace.ReapFor(2 * time.Millisecond)
			continue
		}
		if err != nil {
			return nil, err
		}
		chain, err := t.Filters()
		t.Detach()
		return chain, err
	}
}

// intern stores a chain, and answers its index. It refuses what would go beyond
// the bounds.
func (d *dumper) intern(chain [][]unix.SockFilter) (int, error) {
	var key []byte
	links, fresh := make([]int, 0, len(chain)), len(d.dump.Filters)
	weight := d.weight
	for _, f := range chain {
		bytes := string(unsafe.Slice((*byte)(unsafe.Pointer(&f[0])), len(f)*int(unsafe.Sizeof(f[0]))))
		i, ok := d.filters[bytes]
		if !ok {
			weight += len(f)
			i = len(d.dump.Filters)
			d.dump.Filters = append(d.dump.Filters, f)
			d.filters[bytes] = i
		}
		links = append(links, i)
		key = binary.AppendUvarint(key, uint64(i))
	}
	if i, ok := d.chains[string(key)]; ok {
		return i, nil
	}
	weight += len(links)
	if len(d.chains) == maxChains || len(d.dump.Filters) > maxFilters || weight > maxWeight {
		d.forget(fresh)
		return 0, fmt.Errorf("too many different filters: more than %d instructions, %d filters or %d stacks of them", maxWeight, maxFilters, maxChains)
	}
	d.weight = weight
	d.chains[string(key)] = len(d.dump.Chains)
	d.dump.Chains = append(d.dump.Chains, links)
	return len(d.dump.Chains) - 1, nil
}

// forget takes the filters from the n-th on out again.
func (d *dumper) forget(n int) {
	for bytes, i := range d.filters {
		if i >= n {
			delete(d.filters, bytes)
		}
	}
	clear(d.dump.Filters[n:])
	d.dump.Filters = d.dump.Filters[:n]
}
