package trace

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// The tables are as large as the machine asks for, and no target makes them grow.
func TestMemoryIsBounded(t *testing.T) {
	needBPF(t)
	tr := open(t, Config{Pid: os.Getpid()})
	before, err := tr.Memory()
	if err != nil {
		t.Fatal(err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	pids, err := pidMax()
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	kib := func(n int) uint64 { return uint64(n) << 10 }
	for name, c := range map[string]struct{ got, least, most uint64 }{
		"counts":   {before.Counts, uint64(cpus * int(unsafe.Sizeof(bpfCpu{}))), kib(cpus*450 + 32)},
		"pids":     {before.Pids, maxPids + kib(1<<10) + uint64(4*pids), maxPids + kib(1<<10) + uint64(4*pids) + kib(64) + 2*page},
		"rows":     {before.Rows, kib(1 << 10), kib(16 << 10)},
		"rings":    {before.Rings, kib(2 << 10), kib(33<<10 + 64)},
		"programs": {before.Programs, 1, kib(512)},
	} {
		if c.got < c.least || c.got > c.most {
			t.Errorf("%s: %d bytes, want %d to %d", name, c.got, c.least, c.most)
		}
	}
	t.Logf("%d KiB in all on %d CPUs with %d pids: %+v", before.Total()>>10, cpus, pids, before)
	if err := tr.Judge(func(ABI, uint32) bool { return false }); err != nil {
		t.Fatal(err)
	}
	for i := range 9000 { // fills the table of argument values
		unix.RawSyscallNoError(unix.SYS_PERSONALITY, 0xffffffff+uintptr(i)<<32, 0, 0)
	}
	if after, err := tr.Memory(); err != nil || after.Rows != before.Rows || after.Total() > before.Total()+page {
		t.Errorf("grew from %+v to %+v (%v)", before, after, err)
	}
}

// A tracer whose process is killed leaves nothing in the kernel.
func TestKilled(t *testing.T) {
	needRoot(t)
	w, said := watch(t, anyCgroup(t), unix.CAP_BPF, unix.CAP_PERFMON)
	if said != "open" {
		t.Fatal(said)
	}
	left := heldBy(t, w.cmd.Process.Pid)
	kinds := map[string]int{}
	for id := range left {
		kinds[id.kind]++
	}
	if kinds["map_id"] < 10 || kinds["prog_id"] < 10 || kinds["link_id"] < 5 {
		t.Fatalf("it holds %v: this test shows nothing", kinds)
	}
	t.Logf("it holds %v", kinds)
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "all of it is gone", func() bool {
		maps.DeleteFunc(left, func(id object, _ bool) bool { return !id.exists(t) })
		return len(left) == 0
	})
}

// object is something of the kernel's, as fdinfo names it. Its number is used once
// only.
type object struct {
	kind string
	id   uint32
}

// heldBy is what a process has descriptors of, and what that needs in turn.
func heldBy(t testing.TB, pid int) map[object]bool {
	t.Helper()
	found := map[object]bool{}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		for in := bufio.NewScanner(f); in.Scan(); {
			kind, value, _ := strings.Cut(in.Text(), ":")
			id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
			if err == nil && slices.Contains([]string{"map_id", "prog_id", "link_id"}, kind) {
				found[object{kind, uint32(id)}] = true
			}
		}
		f.Close()
	}
	for id := range maps.Clone(found) {
		if id.kind != "prog_id" {
			continue
		}
		p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id.id))
		if err != nil {
			t.Fatal(err)
		}
		info, err := p.Info()
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
		used, _ := info.MapIDs()
		for _, m := range used {
			found[object{"map_id", uint32(m)}] = true
		}
	}
	return found
}

func (o object) exists(t testing.TB) bool {
	var c interface{ Close() error }
	var err error
	switch o.kind {
	case "map_id":
		c, err = ebpf.NewMapFromID(ebpf.MapID(o.id))
	case "prog_id":
		c, err = ebpf.NewProgramFromID(ebpf.ProgramID(o.id))
	case "link_id":
		c, err = link.NewFromID(link.ID(o.id))
	}
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatalf("%s %d: %v", o.kind, o.id, err)
	}
	c.Close()
	return true
}
