package sample

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// straced starts a container that waits, with strace on it, and returns where
// the calls are written.
func straced(t *testing.T) (*Container, string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace")
	}
	c, _ := begin(t, Options{Pace: quick})
	out := filepath.Join(t.TempDir(), "calls")
	cmd := exec.Command(strace, "-f", "-qq", "-o", out, "-p", itoa(c.Pid))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
	})
	eventually(t, "strace to be attached", func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", c.Pid))
		for _, task := range tasks {
			data, _ := os.ReadFile(task + "/status")
			if strings.Contains(string(data), "TracerPid:\t0\n") {
				return false
			}
		}
		return len(tasks) > 0
	})
	return c, out
}

var callLine = regexp.MustCompile(`(?m)^(\d+) +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed>)`)

// calls are the names in what strace wrote from an offset on, and where that
// ends. A call is written when it begins or when it ends, so one that was long
// under way may be in both parts.
func calls(t *testing.T, path string, from int) (names map[string]bool, end int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names = map[string]bool{}
	for _, m := range callLine.FindAllSubmatch(data[from:], -1) {
		names[string(m[2])] = true
	}
	return names, len(data)
}

func TestFirstCallIsExecve(t *testing.T) {
	c, path := straced(t)
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var first []string
	for _, m := range callLine.FindAllStringSubmatch(string(data), -1) {
		if m[1] == itoa(c.Pid) {
			first = append(first, m[2])
		}
	}
	first = slices.Compact(first) // one that was interrupted by others has two lines
	if len(first) < 2 || first[0] != "read" || first[1] != "execve" {
		t.Errorf("the main thread's calls begin with %v, want the read it waited in and then execve", first[:min(len(first), 4)])
	}
}

// Each phase has calls of its own, and serving makes few.
func TestCallsOfPhases(t *testing.T) {
	c, path := straced(t)
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	load(t, c, 20)
	boot, at := calls(t, path, 0)
	l := c.Load(200)
	eventually(t, "some seconds of serving", func() bool {
		ok, _, _ := l.Stats()
		return ok >= 400
	})
	l.Stop()
	run, at := calls(t, path, at)
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	reload, _ := calls(t, path, at)
	t.Logf("boot %d: %v\nrun %d: %v\nreload only: %v", len(boot), sorted(boot), len(run), sorted(run),
		slices.DeleteFunc(sorted(reload), func(name string) bool { return run[name] }))

	for name := range strings.FieldsSeq("execve mkdirat mmap fchownat clone wait4 socket bind listen prctl setgroups setresgid setresuid symlinkat renameat pipe2") {
		if !boot[name] {
			t.Errorf("boot does not call %s", name)
		}
		if run[name] {
			t.Errorf("serving calls %s", name)
		}
	}
	for name := range strings.FieldsSeq("accept4 read write openat fstat close nanosleep pwrite64") {
		if !run[name] {
			t.Errorf("serving does not call %s", name)
		}
	}
	for name := range strings.FieldsSeq("mkdirat execve symlinkat renameat unlinkat munmap") {
		if !reload[name] || run[name] {
			t.Errorf("%s: by reload %v, by serving %v, want reload alone", name, reload[name], run[name])
		}
	}
	if len(run)*2 > len(boot) {
		t.Errorf("serving makes %d different calls and boot %d, want less than half", len(run), len(boot))
	}
}

func sorted(names map[string]bool) []string { return slices.Sorted(maps.Keys(names)) }
