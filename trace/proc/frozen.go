package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Frozen reports whether a process' cgroup is frozen, or about to be: by the v1
// freezer, or in v2 by itself or an ancestor. Such a process can run nothing,
// the installation of a filter neither.
func Frozen(pid int) (bool, error) {
	in, err := Cgroups(pid)
	if err != nil {
		return false, err
	}
	mounts, err := Mounts()
	if err != nil {
		return false, err
	}
	if path := in.V1["freezer"]; path != "" && path != "/" { // a root cannot be frozen
		dir := seen(mounts, path, func(m Mount) bool { return m.Has("freezer") })
		if dir == "" {
			return false, fmt.Errorf("ask whether process %d is frozen: no mount shows its freezer cgroup", pid)
		}
		// Says so for a frozen ancestor too: "FROZEN", or "FREEZING" on the way.
		if frozen, err := says(dir, "freezer.state", "FR"); err != nil || frozen {
			return frozen, err
		}
	}
	if in.V2 == "" || in.V2 == "/" {
		return false, nil
	}
	dir := seen(mounts, in.V2, func(m Mount) bool { return m.V2 })
	if dir == "" {
		return false, fmt.Errorf("ask whether process %d is frozen: no mount shows its cgroup", pid)
	}
	return frozenV2(dir)
}

// frozenV2 asks a v2 cgroup and those above it: an ancestor's wish is not yet
// seen below while it freezes.
func frozenV2(dir string) (bool, error) {
	if frozen, err := says(dir, "cgroup.events", "frozen 1"); err != nil || frozen {
		return frozen, err
	}
	for {
		frozen, err := says(dir, "cgroup.freeze", "1")
		if err != nil || frozen {
			return frozen, err
		}
		up := filepath.Dir(dir)
		if up == dir || !exists(filepath.Join(up, "cgroup.procs")) {
			return false, nil
		}
		dir = up
	}
}

// seen is where a cgroup of a hierarchy can be looked at, "" if nowhere.
func seen(mounts []Mount, cgroup string, of func(Mount) bool) string {
	for _, m := range mounts {
		if dir := m.Dir(cgroup); of(m) && dir != "" && exists(filepath.Join(dir, "cgroup.procs")) {
			return dir
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// says reports whether a line of a cgroup's file begins with word. A file that
// is not there (a root has none of these, an older kernel no freezer) says nothing.
func says(dir, file, word string) (bool, error) {
	b, err := readSome(filepath.Join(dir, file), smallFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask whether %s is frozen: %w", dir, err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, word) {
			return true, nil
		}
	}
	return false, nil
}
