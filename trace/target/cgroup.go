package target

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// preferred are the v1 controllers whose hierarchy tells containers apart,
// best first: every engine puts every container into these.
var preferred = []string{"pids", "devices", "memory", "freezer"}

// cgroupOf returns the directory of the cgroup that tells a process best from
// others: not a root, of a preferred v1 controller or else of v2.
func cgroupOf(pid int) (string, error) {
	in, mounts, err := whereIs(pid)
	if err != nil {
		return "", err
	}
	if dir := pick(in, mounts); isCgroup(dir) {
		return dir, nil
	}
	return "", fmt.Errorf("find cgroup of process %d: no cgroup mount shows it", pid)
}

func whereIs(pid int) (proc.Membership, []proc.Mount, error) {
	in, err := proc.Cgroups(pid)
	if err != nil {
		return in, nil, err
	}
	mounts, err := proc.Mounts()
	return in, mounts, err
}

// pick chooses among the hierarchies; "" if no mount shows a cgroup of it.
func pick(in proc.Membership, mounts []proc.Mount) string {
	root := ""
	consider := func(m proc.Mount, path string) (dir string) {
		if dir = m.Dir(path); path == "/" && root == "" {
			root = dir
		}
		if path == "/" {
			return ""
		}
		return dir
	}
	for _, c := range preferred {
		for _, m := range mounts {
			if m.Has(c) && in.V1[c] != "" {
				if dir := consider(m, in.V1[c]); dir != "" {
					return dir
				}
			}
		}
	}
	for _, m := range mounts {
		if m.V2 && in.V2 != "" {
			if dir := consider(m, in.V2); dir != "" {
				return dir
			}
		}
	}
	return root
}

// within cuts a membership down to the cgroup that an engine named after a
// container: what runs in there may have made cgroups of its own below. Without
// one, the process is not of that container, or not of this host.
func within(in proc.Membership, id string) proc.Membership {
	out := proc.Membership{V2: upTo(in.V2, id), V1: map[string]string{}}
	for c, path := range in.V1 {
		if p := upTo(path, id); p != "" {
			out.V1[c] = p
		}
	}
	return out
}

// upTo is a path up to the first name that is a container's of that id, "" if
// none is.
func upTo(path, id string) string {
	at := 0
	for name := range strings.SplitSeq(path, "/") {
		if at += len(name); slices.Contains(leafsOf(id), name) {
			return path[:at]
		}
		at++ // the slash
	}
	return ""
}

// leafsOf are the names that engines give to the cgroup of a container, with
// either cgroup driver.
func leafsOf(id string) []string {
	if id == "" {
		return nil
	}
	leafs := []string{id, "libpod-" + id}
	for _, prefix := range []string{"docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-"} {
		leafs = append(leafs, prefix+id+".scope")
	}
	return leafs
}

// BootNames returns what to arm the tracer with before a container of an engine
// is started: the names its cgroup may get.
func BootNames(t Target) []string { return leafsOf(t.ID) }

// BootController is the v1 controller in whose hierarchy engines make cgroups, ""
// for v2.
func BootController() string {
	mounts, err := proc.Mounts()
	if err != nil {
		return ""
	}
	return bootController(mounts)
}

// bootController is where engines make cgroups: they go by what is mounted at
// the usual place, whatever else is mounted beside it.
func bootController(mounts []proc.Mount) string {
	for _, m := range mounts {
		if m.V2 && m.At == "/sys/fs/cgroup" {
			return ""
		}
	}
	for _, c := range preferred {
		for _, m := range mounts {
			if m.Has(c) {
				return c
			}
		}
	}
	return ""
}

// isCgroup reports whether a path is a directory of a cgroup hierarchy.
func isCgroup(path string) bool {
	var st unix.Statfs_t
	if path == "" || unix.Statfs(path, &st) != nil {
		return false
	}
	if uint32(st.Type) != unix.CGROUP_SUPER_MAGIC && uint32(st.Type) != unix.CGROUP2_SUPER_MAGIC {
		return false
	}
	_, err := os.Stat(filepath.Join(path, "cgroup.procs"))
	return err == nil
}

// maxPids bounds a list of processes.
const maxPids = 100_000

// Why a list of processes is not whole.
var (
	errTooMany = fmt.Errorf("more than %d processes", maxPids)
	errUnseen  = errors.New("it has processes that cannot be seen from this pid namespace: run speaker on the host")
)

// pidsBelow lists the processes of a cgroup and all below it, each once. A
// cgroup that is gone has none. With an error comes what was found.
func pidsBelow(path string) ([]int, error) {
	var out []int
	seen := map[int]bool{} // v1 may tell a process twice
	var gap error
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case vanished(err):
			return nil
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		}
		pids, err := procs(p)
		if errors.Is(err, errUnseen) {
			gap, err = err, nil // the others are to be found all the same
		}
		for _, pid := range pids {
			if seen[pid] {
				continue
			}
			if len(out) == maxPids {
				return errTooMany
			}
			seen[pid] = true
			out = append(out, pid)
		}
		return err
	})
	if err = cmp.Or(err, gap); err != nil {
		return out, fmt.Errorf("list processes of %s: %w", path, rootCause(err))
	}
	return out, nil
}

// procs reads one cgroup's processes.
func procs(dir string) ([]int, error) {
	f, err := os.Open(filepath.Join(dir, "cgroup.procs"))
	if vanished(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = 16 * maxPids
	b, err := io.ReadAll(io.LimitReader(f, most))
	switch {
	case vanished(err), errors.Is(err, syscall.EOPNOTSUPP):
		return nil, nil // a threaded cgroup: its processes are told by the one above
	case err != nil:
		return nil, err
	}
	pids, err := parseProcs(string(b))
	if len(b) == most {
		err = errTooMany
	}
	return pids, err
}

// parseProcs reads cgroup.procs. 0 stands for a process of a pid namespace that
// cannot be seen from here.
func parseProcs(s string) (pids []int, err error) {
	for _, f := range strings.Fields(s) {
		n, bad := strconv.Atoi(f)
		switch {
		case bad != nil:
			err = fmt.Errorf("parse pid: %w", bad)
		case n <= 0:
			err = errUnseen
		default:
			pids = append(pids, n)
		}
	}
	return pids, err
}

// vanished reports that a cgroup was removed while it was looked at.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}
