package trace

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The program says how often it called with which values, behind pointers too.
// What it gives up on the way is told once each.
func TestArguments(t *testing.T) {
	needRoot(t)
	cg := anyCgroup(t)
	c := &collector{tr: open(t, Config{CgroupPath: cg, SameMountNS: true})}
	out := run(t, enter(t, cg, program(t, "arguments")))
	rows, err := c.tr.Arguments()
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(out) {
		var want ArgRow
		if _, err := fmt.Sscan(line, &want.Nr, &want.Values[0], &want.Values[1], &want.Count); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		lines++
		i := slices.IndexFunc(rows, func(r ArgRow) bool {
			return r.Group == Main && r.ABI == native && r.Nr == want.Nr && r.Values == want.Values
		})
		switch {
		case i < 0:
			t.Errorf("call %d with %#x was not counted", want.Nr, want.Values)
		case rows[i].Count != want.Count || rows[i].First > rows[i].Last || rows[i].First == 0:
			t.Errorf("call %d with %#x: %+v, want %d times", want.Nr, want.Values, rows[i], want.Count)
		case (rows[i].N == 2) != (want.Nr == unix.SYS_SOCKET):
			t.Errorf("call %d has %d values", want.Nr, rows[i].N)
		}
	}
	if lines != 12 {
		t.Errorf("the program told of %d values: %q", lines, out)
	}
	for kind, args := range map[EventKind]uint64{EventCaps: 24, EventUID: 1234, EventNoNewPrivs: 38} {
		e := c.find(t, kind, func(e Event) bool { return e.Comm == "arguments" })
		if e.Args[0] != args || c.count(kind, int(e.Pid)) != 1 {
			t.Errorf("event %d: %+v, want argument %d, once", kind, e, args)
		}
	}
}

// A program that calls with ever new values fills the table, and the rest is
// counted as that.
func TestTooManyArguments(t *testing.T) {
	needBPF(t)
	tr := open(t, Config{Pid: unix.Getpid()})
	for i := range 9000 {
		unix.RawSyscallNoError(unix.SYS_PERSONALITY, 0xffffffff+uintptr(i)<<32, 0, 0)
	}
	rows, err := tr.Arguments()
	if err != nil || len(rows) > 8192 || len(rows) < 8000 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	s, err := tr.Snapshot()
	if err != nil || s.Lost.ArgsDropped < 9000-8192 || s.Lost.Table != 0 {
		t.Errorf("lost %+v, %v", s.Lost, err)
	}
}

// Per process, the counts are those of the whole.
func TestProcesses(t *testing.T) {
	needRoot(t)
	cg := anyCgroup(t)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
	for range 2 { // the second forgets the first
		if err := tr.WatchProcesses(true); err != nil {
			t.Fatal(err)
		}
		before := &total{}
		before.add(t, tr)
		stop := snapshots(t, tr, 50*time.Millisecond)
		run(t, enter(t, cg, program(t, "forks"), "50"))
		got := stop()
		rows, err := tr.Processes()
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.WatchProcesses(false); err != nil {
			t.Fatal(err)
		}
		sum, whole := map[key]uint64{}, map[key]uint64{}
		pids := map[uint32]bool{}
		for _, r := range rows {
			sum[key{Main, r.ABI, r.Nr}] += r.Count
			pids[r.Pid] = true
		}
		for k, n := range got.counts {
			whole[key{Main, k.abi, k.nr}] += n
		}
		if !maps.Equal(sum, whole) {
			t.Errorf("per process %v, in all %v", sum, whole)
		}
		if len(pids) < 50 {
			t.Errorf("%d processes", len(pids))
		}
	}
}

// A v2 cgroup that is frozen and thawed says so.
func TestFreeze(t *testing.T) {
	needRoot(t)
	h := hierarchies(t)
	if h["v2"] == "" {
		t.Skip("no cgroup v2 is mounted")
	}
	cg := cgroup(t, h["v2"])
	c := &collector{tr: open(t, Config{CgroupPath: cg, SameMountNS: true})}
	cmd := enter(t, cg, "/bin/sleep", "60")
	start(t, cmd)
	until(t, "it is there", func() bool { return len(c.tr.Pids()) == 1 })
	for _, frozen := range []string{"1", "0"} {
		if err := os.WriteFile(filepath.Join(cg, "cgroup.freeze"), []byte(frozen), 0); err != nil {
			t.Skip(err)
		}
		c.find(t, EventFreeze, func(e Event) bool { return fmt.Sprint(e.Args[0]) == frozen })
	}
}
