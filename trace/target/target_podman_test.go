package target

import (
	"context"
	"slices"
	"strings"
	"testing"

	"speaker/trace/target/enginetest"
)

// A container of Podman is found by name and id with its process, cgroup and
// facts; stopped and started again; and, without its service, by its cgroup.
func TestPodman(t *testing.T) {
	p := enginetest.NeedPodman(t, "runc", false)
	h := alone(t)
	h.Podman = p.Serve(t)
	id := p.Run(t, "run", "-d", "--name", "speaker-target-podman", enginetest.Image, "/few", "600")
	ctx := context.Background()
	c, err := Find(h).Resolve(ctx, "podman:speaker-target-podman")
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != id || c.Engine != "podman" || c.State != "running" || !strings.Contains(c.Image, enginetest.Image) || !strings.Contains(c.CgroupPath, id) || !c.CanStart() {
		t.Errorf("got %+v", c)
	}
	if v := Find(h).Version(ctx, c); !strings.HasPrefix(v, "podman ") {
		t.Errorf("its engine is %q", v)
	}
	want := Facts{Processes: 1, CgroupVersion: 1, Seccomp: 2, Filters: 1, CapEff: podmanCaps, LastCap: c.Facts.LastCap}
	if c.Facts == nil || *c.Facts != want {
		t.Errorf("got %+v, want %+v", c.Facts, want)
	}
	list, _ := Find(alone(t)).List(ctx)
	i := slices.IndexFunc(list, func(x Target) bool { return x.ID == id })
	if i < 0 || list[i].Engine != "podman" || list[i].Name != "speaker-target-podman" || list[i].Pid != c.Pid || list[i].CanStart() || list[i].Command != "/few 600" {
		t.Errorf("without its service: %+v", list)
	}
	d, err := Find(h).Starter(c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Restart(ctx, id); err != nil {
		t.Fatal(err)
	}
	again, err := Find(h).Resolve(ctx, id[:9])
	if err != nil || again.Pid == 0 || again.Pid == c.Pid || !again.RanBefore {
		t.Errorf("started again: %+v, %v", again, err)
	}
	p.Run(t, "stop", "-t", "0", id)
	if s, err := d.Inspect(ctx, id); err != nil || s.Pid != 0 || s.State != "exited" {
		t.Errorf("stopped: %+v, %v", s, err)
	}
}
