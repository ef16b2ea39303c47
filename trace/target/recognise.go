package target

import (
	"path/filepath"
	"slices"
	"strings"

	"speaker/trace/proc"
)

// found is a container as /proc shows it, whatever its engine says.
type found struct {
	engine string // as far as the cgroup's name tells
	id     string
	dir    string // its cgroup's directory
	pid    int    // its first process
	began  uint64
	n      int // processes
}

// containerOf tells the names that engines give to the cgroups of containers,
// by a cgroup's name and that of the one it lies in: the engine and the id, or
// "" when it is none of a container.
func containerOf(parent, leaf string) (engine, id string) {
	name, scope := strings.CutSuffix(leaf, ".scope")
	at := strings.LastIndexByte(name, '-')
	prefix, id := name[:max(at, 0)], name[at+1:]
	if !isID(id) {
		return "", ""
	}
	switch {
	case prefix == "docker", prefix == "" && parent == "docker":
		return "docker", id
	case prefix == "libpod":
		return "podman", id
	case prefix == "cri-containerd", prefix == "crio", prefix == "" && strings.HasPrefix(parent, "pod"):
		return "cri", id
	case prefix == "nerdctl":
		return "containerd", id
	case prefix == "" || scope && !strings.HasSuffix(prefix, "conmon"):
		return "container", id
	}
	return "", "" // libpod-conmon-<id>.scope is the engine's own
}

// isID reports whether s is an id as engines make them.
func isID(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// looksLikeContainer reports whether a cgroup is named as a container's.
func looksLikeContainer(path string) bool {
	_, id := containerOf(filepath.Base(filepath.Dir(path)), filepath.Base(path))
	return id != ""
}

// scan finds the containers that run, by id, in the cgroups of all processes. A
// container in a container counts for both.
func scan() (map[string]*found, error) {
	mounts, err := proc.Mounts()
	if err != nil {
		return nil, err
	}
	out := map[string]*found{}
	for _, pid := range proc.All() {
		in, err := proc.Cgroups(pid)
		if err != nil {
			continue // it ended
		}
		for _, f := range containersOf(in, mounts) {
			if out[f.id] == nil {
				out[f.id] = &f
			}
			out[f.id].add(pid)
		}
	}
	for id, f := range out {
		if f.pid == 0 || !isCgroup(f.dir) {
			delete(out, id)
		}
	}
	return out, nil
}

// containersOf are the containers that a process is in, by the hierarchy that
// tells them best: where engines make cgroups in one only, the others tell none.
func containersOf(in proc.Membership, mounts []proc.Mount) []found {
	for _, c := range append(slices.Clone(preferred), "") {
		for _, m := range mounts {
			path := in.V1[c]
			if c == "" && m.V2 {
				path = in.V2
			} else if !m.Has(c) {
				continue
			}
			if out := containersIn(m.Dir(path)); len(out) > 0 {
				return out
			}
		}
	}
	return nil
}

// containersIn are the containers whose cgroups a cgroup's path leads through.
func containersIn(dir string) []found {
	var out []found
	parts := strings.Split(dir, "/")
	for i := 1; i < len(parts); i++ {
		if engine, id := containerOf(parts[i-1], parts[i]); id != "" {
			out = append(out, found{engine: engine, id: id, dir: strings.Join(parts[:i+1], "/")})
		}
	}
	return out
}

// add counts a process. The one that began first is the container's first: what
// enters later (docker exec) began later.
func (f *found) add(pid int) {
	began, _, ok := proc.Began(pid)
	if !ok {
		return
	}
	f.n++
	if f.pid == 0 || began < f.began || began == f.began && pid < f.pid {
		f.pid, f.began = pid, began
	}
}

// target is a container of which no engine told.
func (f *found) target() Target {
	t := Target{Engine: f.engine, ID: f.id, Name: f.id[:12], State: "running"}
	if info, err := proc.Read(f.pid); err == nil {
		t.Command = cut(strings.Join(info.Cmdline, " "))
	}
	if name := nameByMonitor(f.pid, f.id); name != "" {
		t.Name = name
	}
	f.locate(&t)
	return t
}

// Settle fills in where a container runs now, and its facts; ok is false when it
// does not.
func (t Target) Settle() (_ Target, ok bool) {
	if isID(t.ID) {
		running, err := scan()
		if f := running[t.ID]; err == nil && f != nil {
			f.locate(&t)
		}
		return t, t.Pid != 0
	}
	settle(&t, nil)
	return t, t.Pid != 0
}

// locate fills in where a container runs.
func (f *found) locate(t *Target) {
	t.Pid, t.CgroupPath = f.pid, f.dir
	t.Facts = factsOf(f.pid, f.n, f.dir)
}

// nameByMonitor asks conmon, which Podman and CRI-O put beside each container,
// for the container's name: it is among its arguments (-c ID … -n NAME).
func nameByMonitor(pid int, id string) string {
	_, parent, ok := proc.Began(pid)
	if !ok {
		return ""
	}
	monitor, err := proc.Read(parent)
	if err != nil || filepath.Base(monitor.Exe) != "conmon" {
		return ""
	}
	args := monitor.Cmdline
	name, mine := "", false
	for i := 0; i+1 < len(args); i++ {
		switch args[i] {
		case "-n", "--name":
			name = args[i+1]
		case "-c", "--cid":
			mine = args[i+1] == id
		}
	}
	if !mine {
		return ""
	}
	return cut(name)
}
