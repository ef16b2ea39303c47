package trace

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// docker runs the client and returns what it printed.
func docker(t testing.TB, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("docker", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// image makes an image that holds nothing but the given static programs.
func image(t testing.TB, paths ...string) string {
	t.Helper()
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		t.Skipf("no Docker: %s", out)
	}
	name := fmt.Sprintf("speaker-trace-test:%d", os.Getpid())
	tar := filepath.Join(t.TempDir(), "root.tar")
	args := []string{"-cf", tar}
	for _, p := range paths {
		args = append(args, "-C", filepath.Dir(p), filepath.Base(p))
	}
	if out, err := exec.Command("tar", args...).CombinedOutput(); err != nil {
		t.Fatalf("tar: %s", out)
	}
	docker(t, "import", tar, name)
	t.Cleanup(func() { docker(t, "rmi", "-f", name) })
	return name
}

// create makes a container, not started, that is removed when the test ends.
func create(t testing.TB, args ...string) (id string) {
	t.Helper()
	id = docker(t, append([]string{"create", "--network", "none"}, args...)...)
	t.Cleanup(func() { docker(t, "rm", "-f", id) })
	return id
}

// dockerHierarchy is where Docker makes its cgroups, as Config.Controller.
func dockerHierarchy(t testing.TB) string {
	t.Helper()
	if docker(t, "info", "--format", "{{.CgroupVersion}}") == "2" {
		return ""
	}
	return "pids"
}

func dockerLeafs(id string) []string { return []string{id, "docker-" + id + ".scope"} }

// A container boots with the tracer armed: what the runtime does is Init, what
// the program does is Main from its first call on, as often as strace has it.
func TestDockerBoot(t *testing.T) {
	needRoot(t)
	prog := program(t, "count")
	img := image(t, prog)
	id := create(t, "--security-opt", "seccomp=unconfined", img, "/count", "6", "100000")
	tr := open(t, Config{Arm: dockerLeafs(id), Controller: dockerHierarchy(t)})
	if !tr.StartSeen() {
		t.Error("armed, and the start not seen")
	}
	stop := snapshots(t, tr, 100*time.Millisecond)
	docker(t, "start", id)
	docker(t, "wait", id)
	until(t, "all processes are gone", func() bool { return len(tr.Pids()) == 0 })
	got := stop()
	compare(t, docker(t, "logs", id), got)

	runtime := got.group(Init)
	if runtime[key{Main, native, unix.SYS_EXECVE}] == 0 {
		t.Error("the runtime's execve of the program is not in Init")
	}
	if got.counts[key{Main, native, unix.SYS_EXECVE}] != 0 || len(got.group(Exec)) != 0 {
		t.Error("Main has the runtime's execve, or Exec is not empty")
	}
	// The same program outside makes the same calls around its own: sizes of its
	// output differ, so names and not counts are compared.
	file := filepath.Join(t.TempDir(), "strace")
	run(t, exec.Command("strace", "-f", "-n", "-s", "999", "-o", file, prog, "6", "2000"))
	want, _ := readStrace(t, file, []string{prog, "6"})
	sameNames(t, fold(got.group(Main)), want)

	var first Sample
	for _, s := range tr.Samples(nil) {
		if s.Group == Main && (first.Time == 0 || s.Time < first.Time) {
			first = s
		}
	}
	if first.Comm != "count" || first.Nr != unix.SYS_BRK {
		t.Errorf("the first call of the program is %+v, not its brk", first)
	}
}

// An armed tracer that stays sees the next life of the container from its first
// call too: a new cgroup of the armed name begins with Init again.
func TestDockerStartedAgain(t *testing.T) {
	needRoot(t)
	img := image(t, program(t, "forks"))
	id := create(t, img, "/forks", "child")
	tr := open(t, Config{Arm: dockerLeafs(id), Controller: dockerHierarchy(t)})
	for life := range 3 {
		docker(t, "start", id)
		docker(t, "wait", id)
		until(t, "all processes are gone", func() bool { return len(tr.Pids()) == 0 })
		var got total
		got.add(t, tr)
		if n := got.counts[key{Main, native, unix.SYS_GETUID}]; n != 5 {
			t.Errorf("life %d: counted %d getuid, made 5", life, n)
		}
		if len(got.group(Init)) == 0 || len(got.group(Exec)) != 0 {
			t.Errorf("life %d: %d calls in Init, %d in Exec", life, len(got.group(Init)), len(got.group(Exec)))
		}
	}
}

func sameNames(t testing.TB, got, want map[key]uint64) {
	t.Helper()
	for k := range want {
		if got[k] == 0 {
			t.Errorf("strace has abi %d call %d, Main does not", k.abi, k.nr)
		}
	}
	for k := range got {
		// Waiting for threads depends on who is faster.
		if want[k] == 0 && k.nr != unix.SYS_FUTEX && k.nr != unix.SYS_MADVISE {
			t.Errorf("Main has abi %d call %d, strace does not", k.abi, k.nr)
		}
	}
}

// A process that docker exec starts in a running container is Exec, with the
// runtime's part of it Init; Main does not change by it. What Docker's profile
// refuses never enters the kernel: those calls are denials.
func TestDockerExec(t *testing.T) {
	needRoot(t)
	img := image(t, program(t, "count"), program(t, "denied"))
	id := create(t, "-i", img, "/denied", "1") // waits on stdin
	for _, armed := range []bool{true, false} {
		t.Run(fmt.Sprintf("armed=%v", armed), func(t *testing.T) {
			c := Config{Arm: dockerLeafs(id), Controller: dockerHierarchy(t)}
			if !armed {
				pid := docker(t, "inspect", "--format", "{{.State.Pid}}", id)
				c = Config{CgroupPath: cgroupOf(t, pid, c.Controller)}
			}
			tr := open(t, c)
			if armed {
				docker(t, "start", id)
			}
			until(t, "the program runs alone", func() bool { return len(tr.Pids()) == 1 })
			if tr.StartSeen() != armed {
				t.Errorf("start seen: %v", tr.StartSeen())
			}
			if err := tr.WatchDenials(true); err != nil {
				t.Fatal(err)
			}
			stop := snapshots(t, tr, 100*time.Millisecond)
			out := docker(t, "exec", id, "/count", "2", "5000")
			until(t, "the exec is over", func() bool { return len(tr.Pids()) == 1 })
			got := stop()
			asMain := &total{counts: got.group(Exec), lost: got.lost}
			denied := denials(t, tr)
			for _, d := range denied {
				asMain.counts[key{Main, d.ABI, d.Nr}] += d.Count
			}
			compare(t, out, asMain)
			if len(denied) == 0 {
				t.Error("Docker's profile refused nothing")
			}
			if got.counts[key{Init, native, unix.SYS_EXECVE}] == 0 {
				t.Error("the runtime's execve of the exec is not in Init")
			}
			if n := got.counts[key{Main, native, unix.SYS_GETUID}]; n != 0 {
				t.Errorf("Main has %d of the exec's calls", n)
			}
		})
	}
}

// cgroupOf is the directory of a process' cgroup in a hierarchy mounted at the
// usual place.
func cgroupOf(t testing.TB, pid, controller string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && f[1] == controller {
			return filepath.Join("/sys/fs/cgroup", controller, f[2])
		}
	}
	t.Fatalf("process %s has no cgroup of %q", pid, controller)
	return ""
}
