package target

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// maxUnits bounds a list of units.
const maxUnits = 1000

// isUnit reports whether a cgroup's name is that of a unit which holds processes.
func isUnit(name string) bool {
	return strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".scope")
}

// Units lists systemd's services and scopes that run something: cgroups named
// so in slices, and not containers. systemd makes them in v2 wherever that is
// mounted; its own v1 hierarchy has no controller to tell it by.
func Units() ([]Target, error) {
	root, err := ownRoot()
	if err != nil {
		return nil, err
	}
	var out []Target
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case vanished(err), err == nil && !d.IsDir(), path == root:
			return nil
		case err != nil:
			return err
		case len(out) == maxUnits:
			return fs.SkipAll
		case strings.HasSuffix(d.Name(), ".slice"), strings.HasPrefix(d.Name(), "user@"):
			return nil // a user's manager has slices of its own
		case !isUnit(d.Name()) || filepath.Dir(path) == root:
			return fs.SkipDir
		}
		if t, err := unit(path); err == nil && t.Pid != 0 && !looksLikeContainer(path) {
			out = append(out, t)
		}
		return fs.SkipDir
	})
	if err != nil {
		return nil, fmt.Errorf("list units: %w", rootCause(err))
	}
	return out, nil
}

// unit makes a target of a unit's cgroup.
func unit(path string) (Target, error) {
	t, err := FromCgroup(path)
	if err != nil {
		return t, err
	}
	t.Engine = "unit"
	if t.Pid != 0 {
		pids, _ := t.Pids()
		t.Facts = factsOf(t.Pid, len(pids), path)
	}
	return t, nil
}

// findUnit finds a running unit by name.
func findUnit(name string) (Target, error) {
	list, err := Units()
	if err != nil {
		return Target{}, err
	}
	var hits []Target
	for _, t := range list {
		if t.Name == name {
			hits = append(hits, t)
		}
	}
	switch {
	case len(hits) == 1:
		return hits[0], nil
	case len(hits) > 1: // each user's manager has units of the same names
		return Target{}, ambiguous(name, hits, func(t Target) string { return "cgroup:" + t.CgroupPath })
	case len(list) == 0:
		return Target{}, fmt.Errorf("no unit %q runs: the cgroup tree has no unit of systemd", cut(name))
	}
	return Target{}, fmt.Errorf("no unit %q runs: there is %s", cut(name), someNames(list))
}
