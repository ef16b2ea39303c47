package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// Hosts are the addresses of engines that the user named. "" means the
// environment's (DOCKER_HOST, CONTAINER_HOST, CONTAINERD_ADDRESS,
// CONTAINER_RUNTIME_ENDPOINT), else the usual sockets, if there are any.
type Hosts struct {
	Docker, Podman  string // unix:///PATH or tcp://HOST:PORT
	Containerd, CRI string // unix:///PATH or /PATH
}

// The variables that the engines' own tools take an address from.
const (
	podmanEnv     = "CONTAINER_HOST"
	containerdEnv = "CONTAINERD_ADDRESS"
	criEnv        = "CONTAINER_RUNTIME_ENDPOINT"
)

const podmanSocket = "/run/podman/podman.sock"

// The usual sockets: the distributions', and k3s'.
var (
	containerdSockets = []string{"/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock"}
	criSockets        = append(slices.Clone(containerdSockets), "/run/crio/crio.sock")
)

// engineTime is how long one engine is waited for: the others' answers wait with
// it.
const engineTime = 2 * time.Second

// errNotServed is the error of a socket that does not serve what was asked for:
// a containerd without its CRI plugin.
var errNotServed = errors.New("it does not serve that")

// engine is one that can be asked.
type engine struct {
	name  string
	at    string
	named bool // by the user: that it is not there is an error
	list  func(context.Context) ([]Target, error)
}

// Engines are the container engines of this machine. They keep no connection
// between calls.
type Engines struct {
	hosts Hosts
	all   []engine
}

// Find finds the engines that could be asked: those that the user named, else
// those whose usual sockets exist. Nothing is connected yet.
func Find(h Hosts) *Engines {
	h.Docker = first(h.Docker, os.Getenv(client.EnvOverrideHost))
	h.Podman = first(h.Podman, os.Getenv(podmanEnv))
	h.Containerd = socketPath(first(h.Containerd, os.Getenv(containerdEnv)))
	h.CRI = socketPath(first(h.CRI, os.Getenv(criEnv)))
	e := &Engines{hosts: h}
	// Podman first: Docker's socket may be a link to its own. Of a container that
	// two tell of, the first is believed.
	e.add("podman", h.Podman, podmanSockets(), func(at string) listFunc { return listOnce(NewPodman, at) })
	e.add("docker", h.Docker, []string{client.DefaultDockerHost}, func(at string) listFunc { return listOnce(NewDocker, at) })
	e.add("cri", h.CRI, criSockets, func(at string) listFunc { return newCRI(at).List })
	e.add("containerd", h.Containerd, containerdSockets, func(at string) listFunc { return newContainerd(at).List })
	return e
}

type listFunc = func(context.Context) ([]Target, error)

func (e *Engines) add(name, named string, usual []string, ask func(at string) listFunc) {
	if named != "" {
		e.all = append(e.all, engine{name: name, at: named, named: true, list: ask(named)})
		return
	}
	for _, at := range usual {
		if _, err := os.Stat(socketPath(at)); !errors.Is(err, fs.ErrNotExist) {
			e.all = append(e.all, engine{name: name, at: at, list: ask(at)})
		}
	}
}

// podmanSockets are the addresses of the system's service and of this user's.
func podmanSockets() []string {
	out := []string{"unix://" + podmanSocket}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		out = append(out, "unix://"+filepath.Join(dir, "podman/podman.sock"))
	}
	return out
}

// listOnce lists by a client that is closed again.
func listOnce(open func(string) (*Docker, error), at string) listFunc {
	return func(ctx context.Context) ([]Target, error) {
		d, err := open(at)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		return d.List(ctx)
	}
}

// List lists the containers of all engines, the stopped ones too, those that run
// with where they do and their facts; and, of those that run, also what no engine
// told of, known by its cgroup. Problems are one line for each engine that
// failed; no engine holds the list up for longer than two seconds, or than ctx.
func (e *Engines) List(ctx context.Context) ([]Target, []string) {
	list, failed := e.gather(ctx)
	var problems []string
	for _, a := range failed {
		problems = append(problems, a.err.Error())
	}
	return list, problems
}

// gather is List, with the engines that failed.
func (e *Engines) gather(ctx context.Context) (list []Target, failed []answer) {
	answers, failed := e.ask(ctx)
	running, err := scan()
	if err != nil {
		failed = append(failed, answer{engine: engine{name: "/proc"}, err: err})
	}
	return merge(answers, running), failed
}

// answer is what one engine told.
type answer struct {
	engine engine
	list   []Target
	err    error
}

// ask asks all engines at once. What they answer is in the order of the engines.
func (e *Engines) ask(ctx context.Context) (answers, failed []answer) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	end, _ := ctx.Deadline()
	late, giveUp := context.WithDeadline(context.Background(), end.Add(time.Until(end)/4))
	defer giveUp()
	came := make([]chan answer, len(e.all))
	for i, x := range e.all {
		came[i] = make(chan answer, 1)
		go func() {
			list, err := x.list(ctx)
			came[i] <- answer{x, list, err}
		}()
	}
	for i, x := range e.all {
		a := answer{engine: x}
		select {
		case a = <-came[i]:
		case <-late.Done(): // its client does not keep the deadline
			a.err = fmt.Errorf("%s at %s does not answer in time", x.name, x.at)
		}
		switch {
		case errors.Is(a.err, errNotServed) && !x.named:
		case a.err != nil:
			failed = append(failed, a)
		default:
			answers = append(answers, a)
		}
	}
	return answers, failed
}

// merge puts each container into one list once, with where it runs.
func merge(answers []answer, running map[string]*found) []Target {
	answered := map[string]bool{}
	seen := map[string]bool{}
	var out []Target
	for _, a := range answers {
		for _, t := range a.list {
			// The engines that keep their containers there have told of them.
			if a.engine.name == "containerd" && (t.Namespace == criNamespace && answered["cri"] || t.Namespace == dockerNamespace && answered["docker"]) {
				continue
			}
			key := t.ID
			if !isID(key) {
				key = t.Engine + "\x00" + t.Namespace + "\x00" + t.ID
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			if settle(&t, running[t.ID]); !t.sandbox {
				out = append(out, t)
			}
		}
		answered[a.engine.name] = true
	}
	for id, f := range running {
		if !seen[id] {
			out = append(out, f.target())
		}
	}
	slices.SortStableFunc(out, byOrder)
	return out
}

// byOrder puts what runs first, and keeps the engines together.
func byOrder(a, b Target) int {
	rank := func(t Target) int {
		if t.Pid != 0 {
			return 0
		}
		return 1
	}
	return cmp.Or(rank(a)-rank(b), strings.Compare(a.Engine, b.Engine), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// settle fills in where a container runs. An engine's word for its process is
// taken only where the process is in a cgroup of that container's name.
func settle(t *Target, f *found) {
	pid := t.Pid
	t.Pid = 0
	if f != nil {
		f.locate(t)
		return
	}
	if pid <= 0 {
		return
	}
	dir, err := containerCgroup(pid, t.ID)
	if err != nil {
		return
	}
	t.Pid, t.CgroupPath = pid, dir
	pids, _ := t.Pids()
	t.Facts = factsOf(pid, len(pids), dir)
}
