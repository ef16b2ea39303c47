package apply

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"speaker/trace"
)

// A proof stops every thread over and over. The tracer leaves out what the
// injector has them call, and still counts every call of their own.
func TestProofsDoNotDisturbTheCounts(t *testing.T) {
	needRoot(t)
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("no C compiler")
	}
	const calls, rounds = 300_000, 8
	loop := filepath.Join(t.TempDir(), "loop")
	if out, err := exec.Command("cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", loop, "../trace/testdata/loop.c").CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	cgroup, pids := group(t)
	tr, err := trace.Open(trace.Config{CgroupPath: cgroup, SameMountNS: true})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	run(t, cgroup, loop, "0", strconv.Itoa(calls), strconv.Itoa(rounds))
	proofs := 0
	for {
		if list, err := pids(); err != nil || len(list) == 0 {
			break
		}
		_, _ = Prove(within(t), pids, testPolicy().NarrowSpec()) // no filter is there: not proved
		proofs++
	}
	s, err := tr.Snapshot()
	if err != nil || s.Lost.Table != 0 {
		t.Fatalf("lost %+v, %v", s.Lost, err)
	}
	var got uint64
	for _, r := range s.Rows {
		if r.Group == trace.Main && r.Nr == syscall.SYS_GETPPID {
			got = r.Count
		}
	}
	if got != calls*rounds {
		t.Errorf("counted %d of %d calls, with %d proofs", got, calls*rounds, proofs)
	}
	if proofs < 5 {
		t.Errorf("only %d proofs", proofs)
	}
	t.Logf("%d calls, %d proofs", got, proofs)
}
