package enginetest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Podman is one with a store of its own.
type Podman struct {
	Runtime string // "runc", "crun"
	// V2 is where its containers' cgroups are made in: v2, or a v1 hierarchy.
	V2   bool
	dir  string
	wrap []string // how its commands are run
	args []string // what containers need here
}

// NeedPodman sets a Podman up with a runtime; v2 wants its cgroups in v2. The
// containers are removed when the test ends.
func NeedPodman(t *testing.T, runtime string, v2 bool) *Podman {
	t.Helper()
	needRoot(t)
	for _, prog := range []string{"podman", runtime} {
		if _, err := exec.LookPath(prog); err != nil {
			t.Skipf("no %s is installed", prog)
		}
	}
	dir, err := os.MkdirTemp("", "speaker-podman") // short: a socket's path has room for 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	p := &Podman{Runtime: runtime, V2: v2, dir: dir}
	p.cgroups(t)
	// A machine without CAP_SYS_RESOURCE cannot raise limits to podman's defaults.
	p.args = append(p.args, "--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512", "--network", "none")
	t.Cleanup(func() {
		_ = p.command("rm", "-f", "-a", "-t", "0").Run()
		_ = p.command("unshare", "true").Run()
		_ = unix.Unmount(filepath.Join(dir, "root/overlay"), unix.MNT_DETACH)
		os.RemoveAll(dir)
	})
	run(t, p.command("import", rootfs(t), Image))
	return p
}

// cgroups lets the runtime find the hierarchy that is wanted. Where v1 and v2 are
// side by side, crun refuses to run at all if v2 has a controller: it is shown
// one of the two, in a mount namespace of its own.
func (p *Podman) cgroups(t *testing.T) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err != nil {
		t.Skip(err)
	}
	pure := uint32(st.Type) == unix.CGROUP2_SUPER_MAGIC
	_, err := os.Stat("/sys/fs/cgroup/unified")
	hybrid := err == nil
	switch {
	case p.V2 && pure:
	case p.V2:
		p.wrap = within(t, "mount -t cgroup2 none /sys/fs/cgroup")
		// There is neither a pids controller nor the right to load what keeps
		// devices away.
		p.args = []string{"--pids-limit", "0", "--privileged"}
	case pure:
		t.Skip("no v1 hierarchy is mounted here")
	case hybrid && p.Runtime == "crun":
		p.wrap = within(t, "umount /sys/fs/cgroup/unified")
	}
}

// within makes a mount namespace, prepared by a script, for as long as the test
// lasts, and returns how a command is run in there. It is one for all commands:
// Podman counts who mounted a container's files, and another namespace does not
// have that mount.
func within(t *testing.T, script string) []string {
	t.Helper()
	cmd := exec.Command("unshare", "-m", "sh", "-c", script+" && echo ready && exec sleep infinity")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, len("ready"))); err != nil {
		t.Fatalf("no mount namespace: %v", err)
	}
	return []string{"nsenter", "-m", "-t", strconv.Itoa(cmd.Process.Pid)}
}

// Controller is the hierarchy of the containers' cgroups, as trace.Config has it.
func (p *Podman) Controller() string {
	if p.V2 {
		return ""
	}
	return "pids"
}

// Command is a command of the client, to be started.
func (p *Podman) Command(args ...string) *exec.Cmd { return p.command(args...) }

func (p *Podman) command(args ...string) *exec.Cmd {
	all := append(p.wrap, "podman", "--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"),
		"--tmpdir", filepath.Join(p.dir, "tmp"), "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", p.Runtime)
	all = append(all, args...)
	cmd := exec.Command(all[0], all[1:]...)
	// With an address it would ask a service, and refuse the flags above.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CONTAINER_HOST=") })
	return cmd
}

// Run runs a command; after run and create come the flags that containers need
// here.
func (p *Podman) Run(t *testing.T, args ...string) string {
	t.Helper()
	if args[0] == "run" || args[0] == "create" {
		args = append(append([]string{args[0]}, p.args...), args[1:]...)
	}
	return run(t, p.command(args...))
}

// Serve starts the service, until the test ends, and returns its address.
func (p *Podman) Serve(t *testing.T) (host string) {
	t.Helper()
	socket := filepath.Join(p.dir, "s")
	background(t, p.command("system", "service", "--time=0", "unix://"+socket))
	awaitSocket(t, socket)
	return "unix://" + socket
}
