package trace

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The program counts its own calls, of three ABIs, in more threads than there
// are CPUs, at full speed, while epochs end ten times a second and more.
func TestCountsAreExact(t *testing.T) {
	needRoot(t)
	for name, path := range hierarchies(t) {
		t.Run(name, func(t *testing.T) {
			cg := cgroup(t, path)
			tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
			if !tr.StartSeen() {
				t.Error("the start of an empty cgroup was not seen")
			}
			stop := snapshots(t, tr, 100*time.Millisecond)
			out := run(t, enter(t, cg, program(t, "count"), "8", strconv.Itoa(400000/int(patience()))))
			compare(t, out, stop())
		})
	}
}

// As often as the kernel allows, epochs end: nothing may fall between two.
func TestCountsAreExactInShortEpochs(t *testing.T) {
	needRoot(t)
	cg := anyCgroup(t)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
	stop := snapshots(t, tr, time.Microsecond)
	out := run(t, enter(t, cg, program(t, "count"), "4", strconv.Itoa(300000/int(patience()))))
	compare(t, out, stop())
}

// compare holds the program's own counts against the recorded ones.
func compare(t testing.TB, out string, got *total) {
	t.Helper()
	var calls, sum uint64
	for line := range strings.Lines(out) {
		var index int // of the kernel's table
		var nr uint32
		var n uint64
		if _, err := fmt.Sscan(line, &index, &nr, &n); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		abi := abiOf(index)
		calls++
		sum += n
		if g := got.counts[key{Main, abi, nr}]; g != n {
			t.Errorf("abi %d call %d: counted %d, made %d", abi, nr, g, n)
		}
	}
	if calls < 14 {
		t.Errorf("the program told of %d calls only: %q", calls, out)
	}
	if got.lost.Table != 0 {
		t.Errorf("%d calls were lost", got.lost.Table)
	}
	t.Logf("%d calls in %d cells, %+v", sum, calls, got.lost)
}

func TestForkStormIsExact(t *testing.T) {
	needRoot(t)
	cg := anyCgroup(t)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
	stop := snapshots(t, tr, 100*time.Millisecond)
	run(t, enter(t, cg, program(t, "forks"), "2000"))
	got := stop()
	for nr, want := range map[uint32]uint64{unix.SYS_GETPPID: 1600 * 3, unix.SYS_GETUID: 400 * 5} {
		if g := got.counts[key{Main, native, nr}]; g != want {
			t.Errorf("call %d: counted %d, made %d", nr, g, want)
		}
	}
	if left := tr.Pids(); len(left) != 0 {
		t.Errorf("the processes are gone, but %v are still in the target", left)
	}
}

func TestNumberOutOfRangeIsLost(t *testing.T) {
	needBPF(t)
	tr := open(t, Config{Pid: unix.Getpid()})
	for range 7 {
		unix.RawSyscallNoError(5000, 0, 0, 0)
	}
	s, err := tr.Snapshot()
	if err != nil || s.Lost.Table != 7 {
		t.Errorf("lost %d calls, want 7 (%v)", s.Lost.Table, err)
	}
}
