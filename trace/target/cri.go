package target

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// criRuntime asks a runtime of Kubernetes (containerd's CRI plugin, CRI-O).
type criRuntime struct{ place place }

func newCRI(socket string) criRuntime {
	return criRuntime{place{engine: "cri", what: "CRI runtime", at: socket, elsewhere: "another address: " + criEnv}}
}

// List lists the containers of all pods, the stopped ones too.
func (r criRuntime) List(ctx context.Context) ([]Target, error) {
	conn, err := connect(ctx, r.place.at)
	if err != nil {
		return nil, r.place.explain(ctx, err)
	}
	defer conn.Close()
	out, err := r.list(ctx, conn, nil)
	if notServed(err) {
		return nil, errNotServed
	}
	return out, r.place.explain(ctx, err)
}

func (r criRuntime) list(ctx context.Context, conn *grpc.ClientConn, only *cri.ContainerFilter) ([]Target, error) {
	client := cri.NewRuntimeServiceClient(conn)
	res, err := client.ListContainers(ctx, &cri.ListContainersRequest{Filter: only})
	if err != nil {
		return nil, err
	}
	pods, err := client.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, err
	}
	byID := map[string]*cri.PodSandbox{}
	var out []Target
	for _, p := range pods.GetItems()[:min(len(pods.GetItems()), maxContainers)] {
		byID[p.GetId()] = p
		out = append(out, Target{Engine: "cri", ID: cut(p.GetId()), Name: cut(p.GetMetadata().GetName()), sandbox: true})
	}
	for _, c := range res.GetContainers()[:min(len(res.GetContainers()), maxContainers)] {
		out = append(out, criTarget(c, byID[c.GetPodSandboxId()]))
	}
	return out, nil
}

// criTarget names a container by its pod. The labels are kubelet's; what other
// clients make has the pod's own metadata.
func criTarget(c *cri.Container, pod *cri.PodSandbox) Target {
	labels := c.GetLabels()
	t := Target{Engine: "cri", ID: cut(c.GetId()), Image: cut(c.GetImage().GetImage()), State: criState(c.GetState()),
		Created:   time.Unix(0, c.GetCreatedAt()),
		Namespace: cut(first(labels["io.kubernetes.pod.namespace"], pod.GetMetadata().GetNamespace())),
		Name: podName(first(labels["io.kubernetes.pod.name"], pod.GetMetadata().GetName()),
			first(labels["io.kubernetes.container.name"], c.GetMetadata().GetName()))}
	if user := c.GetImage().GetUserSpecifiedImage(); user != "" {
		t.Image = cut(user) // the other may be a digest
	}
	return t
}

// podName is POD/NAME, as far as both are known.
func podName(pod, name string) string {
	switch {
	case pod == "":
		return cut(name)
	case name == "":
		return cut(pod)
	}
	return cut(pod) + "/" + cut(name)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// criState is the engine's word: CONTAINER_RUNNING is "running".
func criState(s cri.ContainerState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "CONTAINER_"))
}
