package sample

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// quick is the pace of boots that nobody watches.
const quick = time.Millisecond

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes namespaces")
	}
}

// begin starts a container that ends with the test, and returns where its log
// goes.
func begin(t *testing.T, o Options) (*Container, string) {
	t.Helper()
	needRoot(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	o.Output = log
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(soon(t)); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("its log:\n%s", text)
		}
	})
	return c, log.Name()
}

// serving starts a container and waits until it serves.
func serving(t *testing.T, o Options) (*Container, string) {
	t.Helper()
	c, log := begin(t, o)
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all workers", func() bool { return logHas(c, "serving on") })
	return c, log
}

// soon is a context that ends before the patience of a reader of tests does.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// cgroups makes one cgroup in each hierarchy that is mounted here and takes
// processes: v1's pids, v2 alone or beside v1.
func cgroups(t *testing.T) []string {
	t.Helper()
	needRoot(t)
	var made []string
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			continue
		}
		dir := filepath.Join(root, fmt.Sprintf("speaker-sample-test-%d", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Logf("no cgroup in %s: %v", root, err)
			continue
		}
		t.Cleanup(func() {
			for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				err := os.Remove(dir)
				if err == nil {
					return
				}
				if time.Now().After(end) {
					t.Errorf("left behind: %v", err)
					return
				}
			}
		})
		made = append(made, dir)
	}
	if len(made) == 0 {
		t.Skip("no cgroup can be made here")
	}
	return made
}

// members are the processes of a cgroup.
func members(t *testing.T, dir string) (pids []int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// children are the child processes of all threads of a process.
func children(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range files {
		data, _ := os.ReadFile(f)
		for word := range strings.FieldsSeq(string(data)) {
			if child, err := strconv.Atoi(word); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}

// status is a field of /proc/PID/status, "" when there is no such process.
func status(pid int, field string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range bytes.Lines(data) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(name) == field {
			return strings.Join(strings.Fields(string(value)), " ")
		}
	}
	return ""
}

func gone(pid int) bool { return unix.Kill(pid, 0) == unix.ESRCH }

func argv(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Join(strings.Split(strings.TrimRight(string(data), "\x00"), "\x00"), " ")
}

func itoa(n int) string { return strconv.Itoa(n) }
