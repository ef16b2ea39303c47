package target

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"speaker/trace/proc"
)

const mine = "speaker-target-test"

// sleeper runs a process to the end of the test.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(cmd) })
	return cmd
}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

func TestOwnCgroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a cgroup")
	}
	path, remove, err := NewCgroup(mine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove() })
	if _, _, err := NewCgroup(mine); err == nil || !strings.Contains(err.Error(), "file exists") {
		t.Errorf("made twice: %v", err)
	}
	if err := os.Mkdir(filepath.Join(path, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := sleeper(t)
	if err := Enter(filepath.Join(path, "below"), cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	c, err := FromCgroup(path)
	if err != nil || c.Pid != cmd.Process.Pid || c.State != "running" || c.Command != "sleep 60" {
		t.Fatalf("got %+v, %v", c, err)
	}
	own, err := Own("speaker-target-")
	if err != nil || !slices.ContainsFunc(own, func(x Target) bool { return x.CgroupPath == path }) {
		t.Errorf("got %v, %v", own, err)
	}
	if err := remove(); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("removed while somebody lives in it: %v", err)
	}
	end(cmd)
	if err := remove(); err != nil {
		t.Error(err)
	}
	if pids, err := c.Pids(); err != nil || len(pids) != 0 {
		t.Errorf("a cgroup that is gone: %v, %v", pids, err)
	}
	if err := remove(); err != nil {
		t.Errorf("removed twice: %v", err)
	}
	if err := Enter(path, os.Getpid()); err == nil {
		t.Error("a cgroup that is gone was entered")
	}
}

// In every hierarchy that is mounted here a process is found in its cgroup, and
// its cgroup by the process where that hierarchy is the one to tell it by.
func TestHierarchies(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	mounts, err := proc.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		kind := strings.Join(m.Controllers, ",")
		if m.V2 {
			kind = "v2"
		}
		if !m.V2 && !slices.ContainsFunc(preferred, m.Has) {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(m.At, mine+"-h")
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Skip(err)
			}
			cmd := sleeper(t)
			t.Cleanup(func() { end(cmd); removeCgroup(path) })
			if err := Enter(path, cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			c, err := FromCgroup(path)
			if err != nil || c.Pid != cmd.Process.Pid {
				t.Errorf("got %+v, %v", c, err)
			}
			p, err := FromPid(cmd.Process.Pid)
			if err != nil || !strings.HasPrefix(p.CgroupPath, "/") {
				t.Errorf("got %+v, %v", p, err)
			}
			if m.Has("pids") && !sameDir(p.CgroupPath, path) {
				t.Errorf("its cgroup is %s, want %s", p.CgroupPath, path)
			}
		})
	}
}

// sameDir reports whether two paths lead to one directory: a hierarchy may be
// mounted in more than one place.
func sameDir(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// A v1 controller is known by its own name too, where its hierarchy has two.
func TestFromCgroupLink(t *testing.T) {
	root, err := ownRoot()
	if err != nil {
		t.Skip(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	if c, err := FromCgroup(link); err != nil || c.CgroupPath != root {
		t.Errorf("got %+v, %v", c.CgroupPath, err)
	}
}
