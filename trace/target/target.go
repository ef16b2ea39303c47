// Package target finds what can be watched: containers of Docker, Podman,
// containerd and CRI runtimes, systemd's units, cgroups and process trees, with
// where each one's processes are.
//
// Names, images and commands come from engines and containers: hostile bytes.
package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"speaker/trace/proc"
)

// Target is one thing that can be watched. It is a copy: what it says may have
// changed since.
type Target struct {
	// Engine is "docker", "podman", "containerd", "cri", "container" (of an
	// engine that is not known), "demo", "run", "unit", "cgroup" or "process".
	Engine string
	ID     string
	Name   string // of a pod's container, POD/NAME
	// Namespace is containerd's or Kubernetes'; "" elsewhere.
	Namespace string
	Image     string
	Command   string
	State     string // "running", "exited", …: the engine's word
	Created   time.Time
	Pid       int // its first process, in the host's pid namespace; 0: it does not run
	// CgroupPath is the absolute path of its cgroup's directory, in the
	// hierarchy that tells it best from others; "" when it does not run, or is
	// a process whose cgroup cannot be seen.
	CgroupPath string
	// SameMountNS says that its program gets no mount namespace of its own at
	// its exec; see trace.Config.
	SameMountNS bool
	// RanBefore says that a container was started before, so that what only its
	// very first start does (ownership of folders, databases) is done already.
	RanBefore bool
	// Facts are those of a running target that a list tells; nil elsewhere.
	Facts *Facts

	host    string // where its engine was asked; "" elsewhere
	sandbox bool   // it only holds a pod's namespaces: nobody's program
}

// Pids lists the target's processes as they are now, in the host's pid
// namespace: those of its cgroup and the cgroups below it, or of its tree. What
// has ended has none. A tree lacks descendants whose own parent ended first:
// only a tracer that followed their forks knows them. An error means that there
// are more; those that were found come with it.
func (t Target) Pids() ([]int, error) {
	if t.Engine == "process" {
		return proc.Tree(t.Pid)
	}
	if t.CgroupPath == "" {
		return nil, fmt.Errorf("%s is not running", t.Name)
	}
	return pidsBelow(t.CgroupPath)
}

// FromPid makes a target of a process and its descendants, now and later.
func FromPid(pid int) (Target, error) {
	i, err := proc.Read(pid)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Target{}, fmt.Errorf("there is no process %d", pid)
	case errors.Is(err, proc.ErrThread):
		return Target{}, fmt.Errorf("%d is a thread, not a process", pid)
	case err != nil:
		return Target{}, err
	case i.Kernel:
		return Target{}, fmt.Errorf("process %d (%q) is the kernel's own: it makes no calls", pid, i.Comm)
	case i.State == 'Z' && i.Threads <= 1:
		return Target{}, fmt.Errorf("process %d (%q) has ended", pid, i.Comm)
	}
	t := Target{Engine: "process", ID: strconv.Itoa(pid), Name: i.Comm, Command: cut(strings.Join(i.Cmdline, " ")),
		State: "running", Pid: pid, SameMountNS: true}
	t.CgroupPath, _ = cgroupOf(pid) // a tree is watched without it
	if st, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Created = st.ModTime()
	}
	return t, nil
}

// FromCgroup makes a target of a cgroup's directory, of v2 or any v1 controller.
func FromCgroup(path string) (Target, error) {
	if !filepath.IsAbs(path) {
		return Target{}, fmt.Errorf("%s: a cgroup is given by its absolute path (/sys/fs/cgroup/…)", path)
	}
	path, err := filepath.EvalSymlinks(path) // of a v1 pair: cpu -> cpu,cpuacct
	if err != nil {
		return Target{}, fmt.Errorf("find cgroup: %w", err)
	}
	if !isCgroup(path) {
		return Target{}, fmt.Errorf("%s is not a cgroup directory", path)
	}
	pids, err := pidsBelow(path)
	if err != nil && !errors.Is(err, errUnseen) && !errors.Is(err, errTooMany) { // it can be watched without a full list
		return Target{}, err
	}
	name := filepath.Base(path)
	t := Target{Engine: "cgroup", ID: path, Name: name, State: "empty", CgroupPath: path, SameMountNS: !looksLikeContainer(path)}
	if len(pids) > 0 {
		t.Pid, t.State = pids[0], "running"
		if i, err := proc.Read(t.Pid); err == nil {
			t.Command = cut(strings.Join(i.Cmdline, " "))
		}
	}
	if st, err := os.Stat(path); err == nil {
		t.Created = st.ModTime()
	}
	return t, nil
}

// cut bounds a text that a container chose.
func cut(s string) string {
	const most = 4096
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// rootCause is the error without the path that was tried: the message names it.
func rootCause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
