package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace/proc"
)

// eventually polls until ok, for ten seconds, or longer where all is slow.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second * patience()); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in ten seconds: %s", what)
		}
	}
}

// threads counts the threads of a process that have at least n filters.
func threads(pid, n int) int {
	have := 0
	for _, got := range filtersByThread(pid) {
		if got >= n {
			have++
		}
	}
	return have
}

// filtersByThread is how many filters each thread has. One may end or begin
// meanwhile: each is looked at once.
func filtersByThread(pid int) (filters []int) {
	names, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, name := range names {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, name.Name()))
		_, rest, _ := strings.Cut(string(b), "\nSeccomp_filters:\t")
		line, _, _ := strings.Cut(rest, "\n")
		if got, err := strconv.Atoi(line); err == nil {
			filters = append(filters, got)
		}
	}
	return filters
}

// hostile starts the target in a cgroup of its own.
func hostile(t *testing.T, how string) (pid int, pids func() ([]int, error)) {
	t.Helper()
	dir, pids := group(t)
	return run(t, dir, target(t), how).Pid, pids
}

// blocks says what a check blocks for, "" if it does not.
func blocks(checks []Check, id string) string {
	for _, c := range checks {
		if c.ID == id && c.Level == Block {
			return c.Found
		}
	}
	return ""
}

// A thread that hides behind many groups gets the filter, and is proved.
func TestThreadOfManyGroups(t *testing.T) {
	pid, pids := hostile(t, "groups")
	eventually(t, "its thread has a filter of its own", func() bool { return threads(pid, 1) == 1 })
	r, err := Inject(within(t), pids, narrowFilter(t))
	if err != nil || r.Processes != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	if n := threads(pid, 1); n != 2 {
		t.Errorf("%d threads have a filter", n)
	}
	proof, err := Prove(within(t), pids, testPolicy().NarrowSpec())
	if err != nil || !proof.OK || proof.Threads != 2 || proof.Text[0] != "Proved: 2 threads of 1 process answer all 3072 call numbers of all ABIs as the policy says." {
		t.Errorf("%v %+v", err, proof)
	}
}

// A ring is refused before, found by the proof, and told when it was made meanwhile.
func TestRings(t *testing.T) {
	needRing(t)
	t.Run("before", func(t *testing.T) {
		pid, pids := hostile(t, "ring")
		eventually(t, "it has a ring", func() bool { yes, _ := proc.Uring(pid); return yes })
		if blocks(Preflight(pids, testPolicy(), ModeSeal), "uring") == "" {
			t.Error("the checks pass it")
		}
		r, err := Inject(within(t), pids, narrowFilter(t))
		if !errors.Is(err, ErrRing) || r.Applied() || threads(pid, 1) != 0 {
			t.Errorf("inject: %v %+v", err, r)
		}
		proof, err := Prove(within(t), pids, policy.Spec{})
		if err != nil || proof.OK || !slices.Equal(proof.Rings, []int{pid}) || !slices.ContainsFunc(proof.Text, func(s string) bool { return strings.Contains(s, "1 process of the target has an io_uring ring") }) {
			t.Errorf("prove: %v %+v", err, proof)
		}
	})
	t.Run("meanwhile", func(t *testing.T) {
		pid, pids := hostile(t, "late ring")
		eventually(t, "it waits", func() bool {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
			return strings.HasPrefix(string(b), "7 ")
		})
		calls := 0
		late := func() ([]int, error) {
			if calls++; calls == 2 { // the checks are over, the filter is not in yet
				_ = unix.Kill(pid, unix.SIGUSR1)
				eventually(t, "it has a ring", func() bool { yes, _ := proc.Uring(pid); return yes })
			}
			return pids()
		}
		r, err := Inject(within(t), late, narrowFilter(t))
		if !errors.Is(err, ErrRing) || !r.Applied() {
			t.Errorf("inject: %v %+v", err, r)
		}
	})
}

// needRing skips where the kernel has no io_uring.
func needRing(t *testing.T) {
	t.Helper()
	if _, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 0, 0, 0); e == unix.ENOSYS || e == unix.EPERM {
		t.Skip("needs io_uring: ", e)
	}
}

// Filters that the new one does not answer for are refused beforehand; those
// that deny or let through are not.
func TestForeseen(t *testing.T) {
	for how, want := range map[string]string{"notify": "notify", "trace": "trace", "log": "", "errno": ""} {
		t.Run(how, func(t *testing.T) {
			pid, pids := hostile(t, how)
			eventually(t, "it has its filter", func() bool { return threads(pid, 1) == 1 })
			got := blocks(Preflight(pids, testPolicy(), ModeInject), "foreseen")
			if (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Fatalf("blocks for %q", got)
			}
			if _, err := Inject(within(t), pids, narrowFilter(t)); err != nil {
				t.Fatal(err)
			}
			if proof, err := Prove(within(t), pids, testPolicy().NarrowSpec()); err != nil || proof.OK != (want == "") {
				t.Errorf("the proof says otherwise: %v %v", err, proof.Text)
			}
		})
	}
}

// Filters without bound are told as too many, and ctx is heeded.
func TestProveTooManyFilters(t *testing.T) {
	pid, pids := hostile(t, "chains")
	eventually(t, "its threads have their filters", func() bool { return threads(pid, 7) == 8 })
	if got := blocks(Preflight(pids, testPolicy(), ModeInject), "foreseen"); !strings.Contains(got, "too many different filters") &&
		(patience() == 1 || !strings.Contains(got, "could not be looked at within")) {
		t.Errorf("blocks for %q", got)
	}
	begun := time.Now()
	proof, err := Prove(within(t), pids, policy.Spec{})
	if err != nil || proof.OK || len(proof.Unseen) == 0 || !strings.Contains(proof.Unseen[0].Text, "too many different filters") {
		t.Errorf("%v %+v", err, proof.Text)
	}
	t.Logf("proved in %v: %s", time.Since(begun), proof.Text)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	begun = time.Now()
	if _, err := Prove(ctx, pids, policy.Spec{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 3*time.Second*patience() {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}

// A frozen target is told as frozen, not as busy too.
func TestFrozenIsNotBusy(t *testing.T) {
	dir, pids := group(t)
	l := run(t, dir, target(t), "pause")
	file, on, off := "cgroup.freeze", "1", "0"
	if _, err := os.Stat(dir + "/" + file); err != nil {
		dir, file, on, off = freezer(t, l.Pid), "freezer.state", "FROZEN", "THAWED"
	}
	if err := os.WriteFile(dir+"/"+file, []byte(on), 0); err != nil {
		t.Skip("needs a cgroup that can freeze: ", err)
	}
	t.Cleanup(func() { _ = os.WriteFile(dir+"/"+file, []byte(off), 0) })
	eventually(t, "it is frozen", func() bool { yes, _ := proc.Frozen(l.Pid); return yes })
	eventually(t, "it does not run", func() bool { s := state(l.Pid); return s == "D" || s == "S" })
	checks := Preflight(pids, testPolicy(), ModeInject)
	if blocks(checks, "frozen") == "" {
		t.Error("it is not told")
	}
	for _, c := range checks {
		if c.ID == "busy" && c.Level != OK {
			t.Errorf("%+v", c)
		}
	}
}

// freezer moves a process into a v1 freezer cgroup of its own.
func freezer(t *testing.T, pid int) string {
	t.Helper()
	dir := fmt.Sprintf("/sys/fs/cgroup/freezer/speaker-apply-test-%d", os.Getpid())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("needs a cgroup that can freeze: ", err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		eventually(t, "the cgroup is removed", func() bool { return os.Remove(dir) == nil })
	})
	if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
	return dir
}
