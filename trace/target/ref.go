package target

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// shortID is how much of an id is shown and given: as the engines' own tools do.
const shortID = 12

// Ref returns what Resolve finds the target by.
func (t Target) Ref() string {
	switch t.Engine {
	case "docker", "podman":
		return t.Engine + ":" + t.Name
	case "cri", "container": // names repeat, with each attempt of a pod
		return t.Engine + ":" + t.ID[:min(len(t.ID), shortID)]
	case "containerd":
		return "containerd:" + t.Namespace + "/" + t.ID
	case "unit":
		return "unit:" + t.Name
	case "process":
		return "pid:" + strconv.Itoa(t.Pid)
	case "demo", "run":
		return t.Engine
	}
	return "cgroup:" + t.CgroupPath
}

// kinds are what may stand before the colon of a reference.
var kinds = []string{"docker", "podman", "containerd", "cri", "container", "unit", "cgroup", "pid"}

// Resolve finds a target by docker:NAME, podman:NAME, containerd:NAMESPACE/ID,
// cri:POD/CONTAINER, unit:NAME.service, cgroup:/PATH or pid:N; a container also
// by its id or the beginning of it. Without a prefix a number is a pid, an
// absolute path a cgroup, all else a container of any engine, or a unit.
func (e *Engines) Resolve(ctx context.Context, ref string) (Target, error) {
	kind, rest, ok := strings.Cut(ref, ":")
	if !ok || !slices.Contains(kinds, kind) {
		kind, rest = "", ref
	}
	n, err := strconv.Atoi(rest)
	switch {
	case rest == "":
		return Target{}, errors.New("no target is named: give docker:NAME, podman:NAME, cri:POD/CONTAINER, containerd:NAMESPACE/ID, unit:NAME, pid:N or cgroup:/PATH")
	case kind == "pid" && (err != nil || n <= 0):
		return Target{}, fmt.Errorf("%q is not a pid", cut(rest))
	case kind == "pid", kind == "" && err == nil && n > 0:
		return FromPid(n)
	case kind == "cgroup", kind == "" && strings.HasPrefix(rest, "/"):
		return FromCgroup(rest)
	case kind == "unit", kind == "" && isUnit(rest) && !strings.Contains(rest, "/"):
		return findUnit(rest)
	}
	return e.container(ctx, kind, rest)
}

// container finds a container of one engine, or of any.
func (e *Engines) container(ctx context.Context, kind, name string) (Target, error) {
	asked := &Engines{hosts: e.hosts}
	for _, x := range e.all {
		if kind == "" || x.name == kind {
			asked.all = append(asked.all, x)
		}
	}
	all, failed := asked.gather(ctx)
	list := slices.DeleteFunc(all, func(t Target) bool { return kind != "" && t.Engine != kind })
	hits := matching(list, name)
	switch {
	case len(hits) == 1:
		return e.whole(ctx, hits[0])
	case len(hits) > 1:
		return Target{}, ambiguous(name, hits, Target.Ref)
	case len(list) == 0 && len(failed) == 1:
		return Target{}, failed[0].err
	}
	return Target{}, unknown(kind, name, list, failed, len(asked.all))
}

// unknown says that there is no such container, which there are, and who could
// not be asked.
func unknown(kind, name string, list []Target, failed []answer, asked int) error {
	text := fmt.Sprintf("no container %q: ", cut(name))
	switch {
	case len(list) > 0:
		text += "there is " + someNames(list)
	case asked == 0 && kind != "":
		text += "no " + kind + " is here, its usual socket does not exist"
	case asked == 0:
		text += "no engine's usual socket exists here (Docker, Podman, containerd, CRI-O), and no container runs"
	default:
		text += "there is none"
	}
	for i, a := range failed {
		if i == 0 {
			text += "; but " + oneLine(a.err)
			continue
		}
		text += "; nor does " + a.engine.name
	}
	return errors.New(text)
}

// matching finds by name or whole id, and only then by the beginning of an id.
func matching(list []Target, name string) []Target {
	var exact, begin []Target
	for _, t := range list {
		switch {
		case t.Name == name, t.ID == name, t.Namespace != "" && (t.Namespace+"/"+t.ID == name || t.Namespace+"/"+t.Name == name),
			t.Engine == "cri" && t.Name[strings.LastIndexByte(t.Name, '/')+1:] == name:
			exact = append(exact, t)
		case len(name) >= 4 && isID(t.ID) && strings.HasPrefix(t.ID, name):
			begin = append(begin, t)
		}
	}
	if exact == nil {
		return begin
	}
	// A pod's earlier attempts have the name too; what runs is what is meant.
	attempts := !slices.ContainsFunc(exact, func(t Target) bool {
		return t.Engine != "cri" || t.Name != exact[0].Name || t.Namespace != exact[0].Namespace
	})
	if up := slices.DeleteFunc(slices.Clone(exact), func(t Target) bool { return t.Pid == 0 }); attempts && len(up) == 1 {
		return up
	}
	return exact
}

// ambiguous says which targets a name could mean.
func ambiguous(name string, hits []Target, ref func(Target) string) error {
	var refs []string
	for _, t := range hits {
		if len(refs) == 10 {
			refs = append(refs, fmt.Sprintf("… (%d in all)", len(hits)))
			break
		}
		said := ref(t)
		if same := slices.DeleteFunc(slices.Clone(hits), func(x Target) bool { return ref(x) != said }); len(same) > 1 && isID(t.ID) {
			said = t.Engine + ":" + t.ID[:12] // of two engines of one kind, say
		}
		if t.Engine == "cri" {
			said += " (" + t.Namespace + "/" + t.Name + ", " + t.State + ")"
		}
		refs = append(refs, said)
	}
	return fmt.Errorf("%q is ambiguous: say which of %s", cut(name), strings.Join(refs, ", "))
}

// whole asks a container's engine again for what its list does not tell.
func (e *Engines) whole(ctx context.Context, t Target) (Target, error) {
	if t.host == "" {
		return t, nil
	}
	d, err := e.Starter(t)
	if err != nil {
		return Target{}, err
	}
	defer d.Close()
	full, err := d.Inspect(ctx, t.ID)
	if err != nil {
		return Target{}, err
	}
	full.Facts = t.Facts
	return full, nil
}

// Starter returns the engine that can start and restart a container. The caller
// closes it.
func (e *Engines) Starter(t Target) (*Docker, error) {
	switch {
	case t.host != "" && t.Engine == "podman":
		return NewPodman(t.host)
	case t.host != "" && t.Engine == "docker":
		return NewDocker(t.host)
	case t.Engine == "docker" || t.Engine == "podman":
		return nil, fmt.Errorf("%s is known by its cgroup only: its engine does not answer, so it cannot be booted from here", t.Name)
	case t.Engine == "containerd", t.Engine == "cri", t.Engine == "container":
		return nil, fmt.Errorf("a container of %s cannot be booted from here: start it with its own tool while speaker waits for it (speaker record --next %s)", t.Engine, t.Name)
	}
	return nil, fmt.Errorf("%s cannot be booted from here: only containers, the demo and commands can", t.Ref())
}

// CanStart reports whether Starter has one.
func (t Target) CanStart() bool { return t.host != "" }
