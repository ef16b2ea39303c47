package target

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/trace/proc"
)

const image = "speaker-test/servers"

// A container is found by name and id with its process and cgroup, stopped and
// started again, and a wrong name is answered with the right ones.
func TestDocker(t *testing.T) {
	if exec.Command("docker", "image", "inspect", image).Run() != nil {
		t.Skip("needs Docker and the image that .ci/images builds")
	}
	const name = "speaker-target-test"
	exec.Command("docker", "rm", "-f", name).Run()
	if out, err := exec.Command("docker", "run", "-d", "--name", name, image, "redis-server").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer exec.Command("docker", "rm", "-f", name).Run()
	ctx := context.Background()
	c, err := Find(Hosts{}).Resolve(ctx, "docker:"+name)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != name || c.Image != image || c.State != "running" || c.SameMountNS || !strings.Contains(c.CgroupPath, c.ID) {
		t.Errorf("got %+v", c)
	}
	version, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").Output()
	if v := Find(Hosts{}).Version(ctx, c); err != nil || v != "docker "+strings.TrimSpace(string(version)) {
		t.Errorf("its engine is %q, docker says %q, %v", v, version, err)
	}
	if pids, err := c.Pids(); err != nil || !slices.Contains(pids, c.Pid) {
		t.Errorf("its processes are %v, %v; want %d among them", pids, err, c.Pid)
	}
	serving(t, c) // before that, as its namespace's first process, it would not hear a signal
	testNested(t, c)
	d, err := NewDocker("")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	list, err := d.List(ctx)
	if err != nil || !slices.ContainsFunc(list, func(x Target) bool { return x.Name == name && x.State == "running" }) {
		t.Errorf("got %v, %v", list, err)
	}
	if out, err := exec.Command("docker", "stop", c.ID).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if s, err := d.Inspect(ctx, c.ID[:12]); err != nil || s.Pid != 0 || s.State != "exited" {
		t.Errorf("stopped: %+v, %v", s, err)
	}
	if err := d.Start(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Inspect(ctx, name); err != nil || s.Pid == 0 || s.Pid == c.Pid {
		t.Errorf("started again: %+v, %v", s, err)
	}
	if err := d.Start(ctx, c.ID); err != nil {
		t.Errorf("started when it runs: %v", err)
	}
	if err := d.Restart(ctx, strings.Repeat("0a", 32)); err == nil || !strings.Contains(err.Error(), "No such container") {
		t.Errorf("restarted what is not there: %v", err)
	}
	if _, err := d.Inspect(ctx, "nosuch"); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a wrong name: %v", err)
	}
	if _, err := d.Inspect(ctx, "../x y"); err == nil {
		t.Error("a name that cannot be was found")
	}
}

// serving waits until a container is ready for connections.
func serving(t *testing.T, c Target) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		pids, err := c.Pids()
		if err == nil && len(proc.ListenWaits(pids)) > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not wait for connections: %v, %v", c.Name, pids, err)
		}
	}
}

// A container whose processes moved on into cgroups below (systemd does so) is
// still told by its own.
func testNested(t *testing.T, c Target) {
	t.Helper()
	below := filepath.Join(c.CgroupPath, "init.scope")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Enter(below, c.Pid); err != nil {
		t.Fatal(err)
	}
	again, err := Find(Hosts{}).Resolve(context.Background(), c.ID)
	if err != nil || again.CgroupPath != c.CgroupPath {
		t.Errorf("got %+v, %v; want %s", again, err, c.CgroupPath)
	}
	if pids, err := again.Pids(); err != nil || !slices.Contains(pids, c.Pid) {
		t.Errorf("its processes are %v, %v", pids, err)
	}
	// Back: an engine need not remove what it did not make.
	if err := Enter(c.CgroupPath, c.Pid); err != nil {
		t.Fatal(err)
	}
	if err := removeCgroup(below); err != nil {
		t.Fatal(err)
	}
}

// The names to arm with have the cgroup among them that a container then gets,
// in the hierarchy that is told.
func TestBootNames(t *testing.T) {
	if exec.Command("docker", "image", "inspect", image).Run() != nil {
		t.Skip("needs Docker and the image that .ci/images builds")
	}
	const name = "speaker-target-boot-test"
	exec.Command("docker", "rm", "-f", name).Run()
	if out, err := exec.Command("docker", "create", "--name", name, image, "sleep", "60").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer exec.Command("docker", "rm", "-f", name).Run()
	d, err := NewDocker("")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c, err := d.Inspect(context.Background(), name)
	if err != nil || c.State != "created" || c.Pid != 0 || c.CgroupPath != "" {
		t.Fatalf("got %+v, %v", c, err)
	}
	if _, err := c.Pids(); err == nil || !strings.Contains(err.Error(), "is not running") {
		t.Errorf("its processes: %v", err)
	}
	controller, leafs := BootController(), BootNames(c)
	if err := d.Start(context.Background(), c.ID); err != nil {
		t.Fatal(err)
	}
	c, err = d.Inspect(context.Background(), name)
	if err != nil || !slices.Contains(leafs, filepath.Base(c.CgroupPath)) {
		t.Fatalf("%s is not among %v (%v)", c.CgroupPath, leafs, err)
	}
	mounts, err := proc.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if strings.HasPrefix(c.CgroupPath, m.At+"/") && !(m.Has(controller) || m.V2 && controller == "") {
			t.Errorf("%s is not in the hierarchy of %q", c.CgroupPath, controller)
		}
	}
}
