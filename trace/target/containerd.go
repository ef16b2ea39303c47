package target

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	namespaces "github.com/containerd/containerd/api/services/namespaces/v1"
	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// containerd asks a containerd daemon, in all its namespaces. It speaks to the
// services themselves: the usual client brings along a hundred packages that pull
// and unpack images.
type containerd struct{ place place }

func newContainerd(socket string) containerd {
	return containerd{place{engine: "containerd", what: "containerd", at: socket, elsewhere: "another address: " + containerdEnv}}
}

// List lists the containers of all namespaces. State is "created" for one that
// has no task.
func (d containerd) List(ctx context.Context) ([]Target, error) {
	conn, err := connect(ctx, d.place.at)
	if err != nil {
		return nil, d.place.explain(ctx, err)
	}
	defer conn.Close()
	res, err := namespaces.NewNamespacesClient(conn).List(ctx, &namespaces.ListNamespacesRequest{})
	if err != nil {
		return nil, d.place.explain(ctx, err)
	}
	var out []Target
	for _, ns := range res.GetNamespaces() {
		list, err := d.list(ctx, conn, ns.GetName())
		if err != nil {
			return nil, d.place.explain(ctx, err)
		}
		if out = append(out, list...); len(out) >= maxContainers {
			break
		}
	}
	return out, nil
}

// in makes a context of a namespace.
func in(ctx context.Context, namespace string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", namespace)
}

// list lists one namespace's.
func (d containerd) list(ctx context.Context, conn *grpc.ClientConn, namespace string) ([]Target, error) {
	ctx = in(ctx, namespace)
	res, err := containers.NewContainersClient(conn).List(ctx, &containers.ListContainersRequest{})
	if err != nil {
		return nil, err
	}
	running, err := tasks.NewTasksClient(conn).List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, err
	}
	byID := map[string]*task.Process{}
	for _, p := range running.GetTasks() {
		id := p.GetContainerID()
		if id == "" {
			id = p.GetID()
		}
		byID[id] = p
	}
	var out []Target
	for _, c := range res.GetContainers()[:min(len(res.GetContainers()), maxContainers)] {
		t := containerdTarget(c, namespace)
		if p := byID[c.GetID()]; p != nil {
			t.State = strings.ToLower(p.GetStatus().String())
			t.Pid = int(p.GetPid())
		}
		out = append(out, t)
	}
	return out, nil
}

// containerdTarget takes what containerd knows of a container that may not run.
func containerdTarget(c *containers.Container, namespace string) Target {
	labels := c.GetLabels()
	t := Target{Engine: "containerd", ID: cut(c.GetID()), Name: cut(c.GetID()), Namespace: cut(namespace), Image: cut(c.GetImage()),
		State: "created", Created: c.GetCreatedAt().AsTime(), Command: commandOf(c.GetSpec().GetValue()),
		sandbox: labels["io.cri-containerd.kind"] == "sandbox"}
	if namespace == criNamespace {
		t.Name = first(podName(labels["io.kubernetes.pod.name"], labels["io.kubernetes.container.name"]), t.Name)
	}
	if name := labels["nerdctl/name"]; name != "" {
		t.Name = cut(name)
	}
	if t.Created.Year() < 2000 { // not told
		t.Created = time.Time{}
	}
	return t
}

// The namespaces of containerd in which others keep their containers.
const (
	criNamespace    = "k8s.io"
	dockerNamespace = "moby"
)

// commandOf takes the arguments out of a runtime specification.
func commandOf(spec []byte) string {
	var s struct {
		Process struct {
			Args []string `json:"args"`
		} `json:"process"`
	}
	if json.Unmarshal(spec, &s) != nil {
		return ""
	}
	return cut(strings.Join(s.Process.Args, " "))
}
