package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"speaker/trace/proc"
)

// NewCgroup makes a cgroup for a target of speaker's own: in v2 where there is
// one (also beside v1), else in v1's pids hierarchy. The caller removes it:
// remove takes those below along, and waits up to a second for the last process
// to be gone. Needs root.
func NewCgroup(name string) (path string, remove func() error, err error) {
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "/\n\x00") {
		return "", nil, fmt.Errorf("make cgroup %q: not a name for a cgroup", name)
	}
	root, err := ownRoot()
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(root, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		return "", nil, fmt.Errorf("make cgroup %s: %w", path, rootCause(err))
	}
	return path, func() error { return removeCgroup(path) }, nil
}

// Own lists the cgroups that NewCgroup made under names with a prefix, by this
// program or an earlier one.
func Own(prefix string) ([]Target, error) {
	root, err := ownRoot()
	if err != nil {
		return nil, err
	}
	names, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list cgroups: %w", err)
	}
	var out []Target
	for _, e := range names {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if t, err := FromCgroup(filepath.Join(root, e.Name())); err == nil {
			out = append(out, t)
		}
	}
	return out, nil
}

// ownRoot is the directory in which NewCgroup makes cgroups.
func ownRoot() (string, error) {
	mounts, err := proc.Mounts()
	if err != nil {
		return "", err
	}
	if root := chooseRoot(mounts); root != "" {
		return root, nil
	}
	return "", errors.New("no cgroup hierarchy is mounted: mount -t cgroup2 none /sys/fs/cgroup")
}

func chooseRoot(mounts []proc.Mount) string {
	for _, m := range mounts {
		if m.V2 {
			return m.At
		}
	}
	for _, m := range mounts {
		if m.Has("pids") {
			return m.At
		}
	}
	return ""
}

func removeCgroup(path string) error {
	deadline := time.Now().Add(time.Second)
	for {
		err := removeBelow(path)
		switch {
		case err == nil, vanished(err):
			return nil
		case !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENOTEMPTY) || time.Now().After(deadline):
			return fmt.Errorf("remove cgroup %s: %w", path, rootCause(err))
		}
		time.Sleep(5 * time.Millisecond) // a dead process leaves its cgroup a little later
	}
}

// removeBelow removes a cgroup after those below it.
func removeBelow(path string) error {
	var dirs []string
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		if vanished(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := os.Remove(dirs[i]); err != nil && !vanished(err) {
			return err
		}
	}
	return nil
}

// Enter moves a process, with all its threads, into a cgroup.
func Enter(cgroupPath string, pid int) error {
	err := os.WriteFile(filepath.Join(cgroupPath, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
	if err != nil {
		return fmt.Errorf("move process %d into cgroup %s: %w", pid, cgroupPath, rootCause(err))
	}
	return nil
}
