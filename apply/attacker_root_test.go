package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace/proc"
)

// attackable is the widest policy under which an attacker is to get nowhere: it
// removes the making of directories, and what no run set may have. Tracing, memory
// files, namespaces, descriptors of others and prctl stay.
func attackable() policy.Policy {
	obs := policy.Observed{policy.Boot: uses(testPolicy().Wide())}
	run := testPolicy().Narrow().With(policy.Call{ABI: policy.X86_64, Nr: unix.SYS_PTRACE})
	obs[policy.Run] = uses(run)
	return policy.Derive(obs, nil)
}

// Whoever is in a target, as root but without privilege over the host, gets neither
// at the keeper, whose socket it is shown, nor rid of the filter, in no process of its own, nor in those that
// these make. Everything is judged by whether the removed call works.
func TestAttacker(t *testing.T) {
	for _, x := range []struct {
		name string
		wrap []string
	}{
		{"in a namespace", []string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "setpriv", "--bounding-set=-all", "--inh-caps=-all"}},
		{"among the host's processes", []string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"}},
	} {
		t.Run(x.name, func(t *testing.T) { attack(t, x.wrap) })
	}
}

func attack(t *testing.T, wrap []string) {
	ownHolds(t)
	cgroup, pids := group(t)
	path, dir := program(t, "attacker", "testdata/attacker.c"), t.TempDir()
	l, err := Launch(append(wrap, path, dir), LaunchOptions{Cgroup: cgroup, Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Wait() }()
	h, err := StartHold(within(t), "attacked", Waiting{Pid: l.Pid, Release: l.Release}, attackable())
	if err != nil {
		t.Fatal(err)
	}
	heard(t, dir, "boot plain - made made")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(keeperDir, "attacked.sock")
	told(t, dir, "held", st.Keeper, socket)
	got := heard(t, dir, "held end")
	judgeAttempts(t, got, "held", map[string][]string{"plain": {"-"}, "connect": {"closed"}, "fd": {"EACCES", "ENOENT"}, "mem": {"EACCES", "ENOENT"},
		"pidfd": {"EPERM", "ESRCH", "EBADF"}, "ptrace": {"EPERM", "ESRCH"}, "stop": {"got-0", "ESRCH"}, "search": {"none"}, "seccomp": {"EPERM"}, "listener": {"EPERM"}, "prctl": nil})
	if now, err := h.Status(); err != nil || now.Mode != "deny" || now.Keeper != st.Keeper {
		t.Errorf("the keeper afterwards: %v %+v", err, now)
	}
	_, proof, err := h.Seal(within(t), pids)
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	before := filtersOf(t, pids)
	told(t, dir, "sealed", st.Keeper, socket)
	got = heard(t, dir, "sealed end")
	judgeAttempts(t, got, "sealed", map[string][]string{"plain": {"-"}, "seccomp": {"EPERM"}, "listener": {"EPERM"}, "prctl": nil, "off": {"EINVAL"},
		"namespace": nil, "exec": {"-"}, "memfd": {"-"}, "ring": {"EPERM", "ENOSYS"}, "thread": {"denied"}, "suspend": {"EPERM"},
		"rewrite": {"changed"}, "search": {"none"}})
	if proof, err = Prove(within(t), pids, attackable().NarrowSpec()); err != nil || !proof.OK {
		t.Errorf("%v %v", err, proof.Text)
	}
	for pid, n := range filtersOf(t, pids) {
		if n < before[pid] {
			t.Errorf("process %d has %d filters, had %d", pid, n, before[pid])
		}
	}
}

// judgeAttempts wants each attempt once, with one of the results that are known for
// it (nil: whatever it got), and the removed call denied in it and in its child.
func judgeAttempts(t *testing.T, lines []string, stage string, want map[string][]string) {
	t.Helper()
	seen := map[string]bool{}
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 5 || f[0] != stage {
			continue
		}
		results, known := want[f[1]]
		seen[f[1]] = true
		if !known || f[3] != "denied" || f[4] != "denied" || results != nil && !slices.Contains(results, f[2]) {
			t.Errorf("%s, want %v denied denied", line, results)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("%s: %s was not tried:\n%s", stage, name, strings.Join(lines, "\n"))
		}
	}
}

// told says to the attacker that a stage is reached.
func told(t *testing.T, dir, stage string, keeper int, socket string) {
	t.Helper()
	path := filepath.Join(dir, stage)
	if err := os.WriteFile(path+".new", fmt.Appendf(nil, "%d %s\n", keeper, socket), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// heard waits for a line of the attacker's, and returns what it reported so far.
func heard(t *testing.T, dir, want string) (lines []string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		b, _ := os.ReadFile(filepath.Join(dir, "report"))
		lines = strings.Split(strings.TrimSpace(string(b)), "\n")
		if slices.Contains(lines, want) {
			return lines
		}
		if time.Now().After(end) {
			t.Fatalf("no %q in\n%s", want, b)
		}
	}
}

// filtersOf is how many filters each process has.
func filtersOf(t *testing.T, pids func() ([]int, error)) map[int]int {
	t.Helper()
	list, err := pids()
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]int{}
	for _, pid := range list {
		if i, err := proc.Read(pid); err == nil && i.State != 'Z' {
			out[pid] = i.Filters
		}
	}
	return out
}
