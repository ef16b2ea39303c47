package target

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"speaker/trace/target/enginetest"
)

// What ctr runs is listed with its namespace, process and cgroup, also when two
// namespaces have the same id; and what is not started, too.
func TestContainerd(t *testing.T) {
	c := enginetest.NeedContainerd(t)
	h := alone(t)
	h.Containerd = c.Socket
	c.Run(t, "run", "-d", "localhost/"+enginetest.Image, "speaker-ctr", "/few", "600")
	t.Cleanup(func() { c.Run(t, "tasks", "rm", "-f", "speaker-ctr") })
	c.Run(t, "-n", "k8s.io", "containers", "create", "localhost/"+enginetest.Image, "speaker-ctr", "/few")
	ctx := context.Background()
	got, err := Find(h).Resolve(ctx, "containerd:default/speaker-ctr")
	if err != nil {
		t.Fatal(err)
	}
	if got.State != "running" || got.Command != "/few 600" || filepath.Base(got.CgroupPath) != "speaker-ctr" || got.Ref() != "containerd:default/speaker-ctr" || got.SameMountNS {
		t.Errorf("got %+v", got)
	}
	if v := Find(h).Version(ctx, got); !strings.HasPrefix(v, "containerd ") {
		t.Errorf("its engine is %q", v)
	}
	if f := got.Facts; f == nil || f.Processes != 1 || f.Seccomp != 0 || f.Capabilities() != "default 14" {
		t.Errorf("got %+v", f)
	}
	if pids, err := got.Pids(); err != nil || !slices.Equal(pids, []int{got.Pid}) {
		t.Errorf("its processes are %v, %v", pids, err)
	}
	other, err := Find(h).Resolve(ctx, "k8s.io/speaker-ctr")
	if err != nil || other.Pid != 0 || other.State != "created" {
		t.Errorf("got %+v, %v", other, err)
	}
	_, err = Find(h).Resolve(ctx, "speaker-ctr")
	expectError(t, err, "is ambiguous: say which of containerd:default/speaker-ctr, containerd:k8s.io/speaker-ctr")
}

// A pod's containers are listed by pod, namespace and name, without what only
// holds the pod's namespaces; and once, though containerd tells of them too.
func TestCRI(t *testing.T) {
	c := enginetest.NeedContainerd(t)
	ctx := context.Background()
	pod := enginetest.NeedKubelet(t, c).Pod(t, "web-0")
	id := pod.Create(t, "app", "/few", "600")
	h := alone(t)
	h.CRI, h.Containerd = c.Socket, c.Socket
	before, err := Find(h).Resolve(ctx, "cri:web-0/app")
	if err != nil || before.Pid != 0 || before.State != "created" {
		t.Errorf("not started: %+v, %v", before, err)
	}
	pod.Start(t, id)
	got, err := Find(h).Resolve(ctx, "web-0/app")
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Engine != "cri" || got.Namespace != "prod" || got.Name != "web-0/app" || got.Pid == 0 || !strings.Contains(got.CgroupPath, got.ID) {
		t.Errorf("got %+v", got)
	}
	if v := Find(h).Version(ctx, got); !strings.HasPrefix(v, "containerd ") {
		t.Errorf("its engine is %q", v)
	}
	list, _ := Find(h).List(ctx)
	ours := slices.DeleteFunc(list, func(x Target) bool { return x.ID != id && x.ID != pod.ID })
	if len(ours) != 1 {
		t.Errorf("listed %+v", ours)
	}
	h.CRI = filepath.Join(t.TempDir(), "none") // then containerd's own word for it is what there is
	if x, err := Find(h).Resolve(ctx, id); err != nil || x.Engine != "containerd" || x.Name != "web-0/app" || x.Pid != got.Pid {
		t.Errorf("without CRI: %+v, %v", x, err)
	}
}
