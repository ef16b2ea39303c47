package target

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"speaker/trace/proc"
)

var (
	hybrid = []proc.Mount{
		{At: "/sys/fs/cgroup/memory", Root: "/", Controllers: []string{"rw", "memory"}},
		{At: "/sys/fs/cgroup/pids", Root: "/", Controllers: []string{"rw", "pids"}},
		{At: "/sys/fs/cgroup/cpu,cpuacct", Root: "/", Controllers: []string{"rw", "cpu", "cpuacct"}},
		{At: "/sys/fs/cgroup/unified", Root: "/", V2: true},
	}
	unified = []proc.Mount{{At: "/sys/fs/cgroup", Root: "/", V2: true}}
	// A v2 host on which somebody mounted a v1 controller elsewhere.
	unifiedAndOne = []proc.Mount{{At: "/mnt/freezer", Root: "/", Controllers: []string{"rw", "freezer"}}, unified[0]}
	onlyV1        = hybrid[:3]
)

func TestPick(t *testing.T) {
	v1 := func(pids, memory, v2 string) proc.Membership {
		return proc.Membership{V1: map[string]string{"pids": pids, "memory": memory}, V2: v2}
	}
	tests := []struct {
		name   string
		mounts []proc.Mount
		in     proc.Membership
		want   string
	}{
		{"hybrid, a Docker container", hybrid, v1("/docker/abc", "/docker/abc", "/"), "/sys/fs/cgroup/pids/docker/abc"},
		{"hybrid, not in the best", hybrid, v1("/", "/x", "/"), "/sys/fs/cgroup/memory/x"},
		{"hybrid, only in v2", hybrid, v1("/", "/", "/speaker-x"), "/sys/fs/cgroup/unified/speaker-x"},
		{"hybrid, in no cgroup", hybrid, v1("/", "/", "/"), "/sys/fs/cgroup/pids"},
		{"v1", onlyV1, v1("/a", "/a", ""), "/sys/fs/cgroup/pids/a"},
		{"v2", unified, v1("", "", "/system.slice/docker-abc.scope"), "/sys/fs/cgroup/system.slice/docker-abc.scope"},
		{"v2 and a v1 controller", unifiedAndOne, proc.Membership{V1: map[string]string{"freezer": "/"}, V2: "/a"}, "/sys/fs/cgroup/a"},
		{"outside of our namespace", unified, v1("", "", "/../../a"), ""},
		{"nothing mounted", nil, v1("/a", "/a", "/a"), ""},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			if got := pick(x.in, x.mounts); got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}

func TestWhereOurOwnAreMade(t *testing.T) {
	tests := []struct {
		name             string
		mounts           []proc.Mount
		root, controller string
	}{
		{"hybrid", hybrid, "/sys/fs/cgroup/unified", "pids"},
		{"v1", onlyV1, "/sys/fs/cgroup/pids", "pids"},
		{"v2", unified, "/sys/fs/cgroup", ""},
		{"v2 and a v1 controller", unifiedAndOne, "/sys/fs/cgroup", ""},
		{"none", nil, "", ""},
	}
	for _, x := range tests {
		if got := chooseRoot(x.mounts); got != x.root {
			t.Errorf("%s: made in %q, want %q", x.name, got, x.root)
		}
		if got := bootController(x.mounts); got != x.controller {
			t.Errorf("%s: containers boot in %q, want %q", x.name, got, x.controller)
		}
	}
}

func TestUpTo(t *testing.T) {
	id := strings.Repeat("0a", 32)
	tests := []struct{ path, id, want string }{
		{"/docker/" + id, id, "/docker/" + id},
		{"/docker/" + id + "/init.scope", id, "/docker/" + id},
		{"/system.slice/docker-" + id + ".scope/a/b", id, "/system.slice/docker-" + id + ".scope"},
		{"/docker/other", id, ""},
		{"/", id, ""},
		{"/docker/", "", ""},
		{"/x/libpod-" + id + ".scope/container", id, "/x/libpod-" + id + ".scope"},
		{"/x/libpod-conmon-" + id + ".scope", id, ""},
		{"/x/" + id + "0", id, ""},
		{"/default/web/web", "web", "/default/web"},
		{"/default/webx", "web", ""},
	}
	for _, x := range tests {
		if got := upTo(x.path, x.id); got != x.want {
			t.Errorf("%q: got %q, want %q", x.path, got, x.want)
		}
	}
}

func FuzzUpTo(f *testing.F) {
	f.Add("/docker/0123456789ab/x", "0123456789ab")
	f.Fuzz(func(t *testing.T, path, id string) {
		if got := upTo(path, id); got != "" && (!strings.HasPrefix(path, got) || !strings.Contains(got, id)) {
			t.Errorf("%q up to %q: %q", path, id, got)
		}
	})
}

func TestContainerOf(t *testing.T) {
	id := strings.Repeat("0a", 32)
	for _, x := range []struct{ parent, leaf, engine string }{
		{"docker", id, "docker"},
		{"system.slice", "docker-" + id + ".scope", "docker"},
		{"machine.slice", "libpod-" + id + ".scope", "podman"},
		{"libpod_parent", "libpod-" + id, "podman"},
		{"machine.slice", "libpod-conmon-" + id + ".scope", ""},
		{"kubepods-besteffort-podabc.slice", "cri-containerd-" + id + ".scope", "cri"},
		{"kubepods-burstable-podabc.slice", "crio-" + id + ".scope", "cri"},
		{"kubepods-burstable-podabc.slice", "crio-conmon-" + id + ".scope", ""},
		{"pod0123-45", id, "cri"},
		{"system.slice", "nerdctl-" + id + ".scope", "containerd"},
		{"system.slice", "other-" + id + ".scope", "container"},
		{"default", id, "container"},
		{"system.slice", "nginx.service", ""},
		{"", "speaker-demo-12ab", ""},
		{"docker", strings.Repeat("g", 64), ""},
		{"docker", id[:12], ""},
		{"docker", "", ""},
	} {
		engine, got := containerOf(x.parent, x.leaf)
		if engine != x.engine || (got == id) != (x.engine != "") {
			t.Errorf("%s/%s: got %q, %q, want %q", x.parent, x.leaf, engine, got, x.engine)
		}
	}
}

// Where a hierarchy tells no container, another may.
func TestContainersOf(t *testing.T) {
	id := strings.Repeat("0a", 32)
	in := proc.Membership{V1: map[string]string{"pids": "/session", "memory": "/"}, V2: "/libpod_parent/libpod-" + id}
	if got := containersOf(in, hybrid); len(got) != 1 || got[0].dir != "/sys/fs/cgroup/unified/libpod_parent/libpod-"+id || got[0].engine != "podman" {
		t.Errorf("got %+v", got)
	}
	in.V1["memory"] = "/docker/" + id
	if got := containersOf(in, hybrid); len(got) != 1 || got[0].dir != "/sys/fs/cgroup/memory/docker/"+id {
		t.Errorf("got %+v", got)
	}
	if got := containersOf(in, nil); got != nil {
		t.Errorf("got %+v", got)
	}
}

// A container in a container is found with the one that it is in.
func TestContainersIn(t *testing.T) {
	outer, inner := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	got := containersIn("/sys/fs/cgroup/docker/" + outer + "/docker/" + inner + "/x.service")
	if len(got) != 2 || got[0].dir != "/sys/fs/cgroup/docker/"+outer || got[1].id != inner || filepath.Base(got[1].dir) != inner {
		t.Errorf("got %+v", got)
	}
}

// Every wrong name is one line that says what is wrong.
func TestResolveErrors(t *testing.T) {
	nobody := "unix://" + filepath.Join(t.TempDir(), "none.sock")
	tests := []struct{ ref, want string }{
		{"", "no target is named"},
		{"pid:", "no target is named"},
		{"pid:x", "not a pid"},
		{"pid:-3", "not a pid"},
		{"4194304", "there is no process 4194304"},
		{"pid:2", "kernel's own"},
		{"cgroup:relative", "absolute path"},
		{"/etc", "/etc is not a cgroup directory"},
		{"/nonexistent", "/nonexistent: no such file"},
		{"web", "no docker daemon answers at " + nobody},
		{"a:b", "no docker daemon answers"},
	}
	if b, err := os.ReadFile("/proc/2/comm"); err != nil || string(b) != "kthreadd\n" {
		tests = slices.DeleteFunc(tests, func(x struct{ ref, want string }) bool { return x.ref == "pid:2" })
	}
	for _, x := range tests {
		_, err := Find(Hosts{Docker: nobody}).Resolve(context.Background(), x.ref)
		if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %q", x.ref, err, x.want)
		}
	}
}

// A tree is a process with its descendants as they are at the time.
func TestFromPid(t *testing.T) {
	self, err := FromPid(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pids, err := self.Pids()
	if err != nil || len(pids) < 2 || pids[0] != os.Getpid() || !slices.Contains(pids, cmd.Process.Pid) {
		t.Errorf("got %v, %v", pids, err)
	}
	child, err := FromPid(cmd.Process.Pid)
	if err != nil || child.Name != "sleep" && child.Name != "target.test" {
		t.Errorf("got %+v, %v", child, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if pids, err := child.Pids(); err != nil || len(pids) != 0 {
		t.Errorf("a tree that is gone: %v, %v", pids, err)
	}
	if again, err := Find(Hosts{}).Resolve(context.Background(), self.Ref()); err != nil || again.Pid != self.Pid {
		t.Errorf("%s leads to %+v, %v", self.Ref(), again, err)
	}
}

// A thread's id is not taken for a process, though /proc has a folder for it.
func TestFromThread(t *testing.T) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, e := range threads {
		if e.Name() == filepath.Base(must(os.Readlink("/proc/self"))) {
			continue
		}
		tried++
		if _, err := Find(Hosts{}).Resolve(context.Background(), "pid:"+e.Name()); err == nil || !strings.Contains(err.Error(), "is a thread") {
			t.Errorf("thread %s: got %v", e.Name(), err)
		}
	}
	if tried == 0 {
		t.Skip("this test has one thread only")
	}
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

func TestNewCgroupName(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "../x", "a\nb", strings.Repeat("x", 300)} {
		if path, _, err := NewCgroup(name); err == nil {
			t.Errorf("%q was made: %s", name, path)
			os.Remove(path)
		}
	}
}

// What cannot be listed is an error, not a shorter list.
func TestParseProcs(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []int
		err      error
	}{
		{name: "none"},
		{name: "some", in: "12\n7\n12\n", want: []int{12, 7, 12}},
		{name: "one that cannot be seen", in: "12\n0\n7\n", want: []int{12, 7}, err: errUnseen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseProcs(tt.in)
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if _, err := parseProcs("12\nx\n"); err == nil {
		t.Error("what is no pid is passed over")
	}
}
