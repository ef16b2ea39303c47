package enginetest

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Kubelet makes pods as Kubernetes' does.
type Kubelet struct {
	client cri.RuntimeServiceClient
}

// Pod is one pod in the host's network: no network plugin is needed.
type Pod struct {
	ID     string // of what holds its namespaces
	client cri.RuntimeServiceClient
	name   string
	config *cri.PodSandboxConfig
}

// NeedKubelet returns a client of containerd's CRI plugin.
func NeedKubelet(t *testing.T, c *Containerd) Kubelet {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+c.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return Kubelet{cri.NewRuntimeServiceClient(conn)}
}

// Pod makes a pod in the namespace prod, until the test ends.
func (k Kubelet) Pod(t *testing.T, name string) Pod {
	t.Helper()
	config := &cri.PodSandboxConfig{Metadata: &cri.PodSandboxMetadata{Name: name, Uid: "uid-" + name, Namespace: "prod"}, LogDirectory: t.TempDir(),
		Linux: &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{
			NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}}}}
	ctx := context.Background()
	res, err := k.client.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		t.Skipf("no pod can be made here: %v", err)
	}
	t.Cleanup(func() {
		_, _ = k.client.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: res.GetPodSandboxId()})
	})
	return Pod{ID: res.GetPodSandboxId(), client: k.client, name: name, config: config}
}

// Create makes a container in the pod, with the labels that kubelet gives, and
// returns its id.
func (p Pod) Create(t *testing.T, name string, command ...string) string {
	t.Helper()
	res, err := p.client.CreateContainer(context.Background(), &cri.CreateContainerRequest{PodSandboxId: p.ID, SandboxConfig: p.config,
		Config: &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: name}, Image: &cri.ImageSpec{Image: "localhost/" + Image},
			Command: command, LogPath: name, Linux: &cri.LinuxContainerConfig{},
			Labels: map[string]string{"io.kubernetes.container.name": name, "io.kubernetes.pod.name": p.name, "io.kubernetes.pod.namespace": "prod"}}})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetContainerId()
}

// Start starts a container.
func (p Pod) Start(t *testing.T, id string) {
	t.Helper()
	if _, err := p.client.StartContainer(context.Background(), &cri.StartContainerRequest{ContainerId: id}); err != nil {
		t.Fatal(err)
	}
}
