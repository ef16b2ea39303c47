package apply

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// groups counts the cgroups: the keeper of an earlier test may still be about to
// remove the one that it had.
var groups int

// group is a cgroup of the test's own; everything in it dies with the test.
func group(t testing.TB) (dir string, pids func() ([]int, error)) {
	t.Helper()
	needRoot(t)
	groups++
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		dir = filepath.Join(root, fmt.Sprintf("speaker-apply-test-%d-%d", os.Getpid(), groups))
		if os.Mkdir(dir, 0o755) == nil {
			break
		}
		dir = ""
	}
	if dir == "" {
		t.Skip("needs a cgroup that can be made")
	}
	pids = func() ([]int, error) {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		var out []int
		for _, f := range strings.Fields(string(b)) {
			n, _ := strconv.Atoi(f)
			out = append(out, n)
		}
		return out, err
	}
	t.Cleanup(func() {
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			list := killAll(pids)
			if err := os.Remove(dir); len(list) == 0 && (err == nil || os.IsNotExist(err)) {
				return
			}
		}
		t.Errorf("cgroup %s stays", dir)
	})
	return dir, pids
}

// killAll kills what a target has, and returns what that was.
func killAll(pids func() ([]int, error)) []int {
	list, _ := pids()
	for _, p := range list {
		_ = unix.Kill(p, unix.SIGKILL)
	}
	return list
}

// run starts a command in a cgroup.
func run(t testing.TB, cgroup string, argv ...string) *Launched {
	t.Helper()
	l, err := Launch(argv, LaunchOptions{Cgroup: cgroup, Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Wait() }()
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	return l
}

// target builds the program that the injector's own tests use.
func target(t *testing.T) string {
	t.Helper()
	return program(t, "target", "ptrace/testdata/target.c")
}

// program builds a C program. Where there is no compiler, SPEAKER_TEST_PROGRAMS
// names a directory with it.
func program(t *testing.T, name, source string) string {
	t.Helper()
	if dir := os.Getenv("SPEAKER_TEST_PROGRAMS"); dir != "" {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			t.Skip("needs the program ", name, ": ", err)
		}
		return path
	}
	out := filepath.Join(t.TempDir(), name)
	if b, err := exec.Command("cc", "-O1", "-o", out, source, "-lpthread").CombinedOutput(); err != nil {
		t.Skipf("needs a C compiler: %v %s", err, b)
	}
	return out
}

func narrowFilter(t testing.TB) policy.Filter {
	t.Helper()
	f, err := policy.Compile(testPolicy().NarrowSpec())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every process of a fork storm gets the filter, and every one that comes later.
func TestForkStorm(t *testing.T) {
	dir, pids := group(t)
	path := target(t)
	for range 3 {
		run(t, dir, path, "forks")
	}
	run(t, dir, path, "vfork")
	r, err := Inject(within(t), pids, narrowFilter(t))
	if err != nil {
		t.Fatalf("%v %+v", err, r)
	}
	t.Logf("%d processes, %d passes, %d died meanwhile", r.Processes, r.Passes, r.Died)
	if proof, err := Prove(within(t), pids, testPolicy().NarrowSpec()); err != nil || !proof.OK {
		t.Errorf("%v %+v", err, proof)
	}
	for range 20 {
		list, err := pids()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
			if err == nil && strings.Contains(string(b), "Seccomp:\t0") && !strings.Contains(string(b), "State:\tZ") && !strings.Contains(string(b), "State:\tX") {
				t.Fatalf("process %d has no filter:\n%s", p, b)
			}
		}
	}
}

// A process without privilege in a pid namespace needs no_new_privs, and gets it.
func TestNamespaceWithoutPrivilege(t *testing.T) {
	dir, pids := group(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: t.TempDir()}
	run(t, dir, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
		"setpriv", "--bounding-set=-all", "--inh-caps=-all", self, "_server", s.dir)
	s.wants("mkdir", "ok")
	stop := s.load()
	r, err := Inject(within(t), pids, narrowFilter(t))
	if err != nil || r.Processes != 2 || r.NoNewPrivs != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	proof, err := Prove(within(t), pids, testPolicy().NarrowSpec())
	if err != nil || !proof.OK || len(proof.NoNewPrivs) != 1 {
		t.Fatalf("%v %+v", err, proof)
	}
	s.wants("mkdir", "EPERM")
	t.Logf("%d requests answered", stop())
}

// What cannot be served is refused before, reported if tried, and left as it was.
func TestRefusals(t *testing.T) {
	path := target(t)
	refused := func(t *testing.T, id string, pids func() ([]int, error)) {
		t.Helper()
		for _, c := range Preflight(pids, testPolicy(), ModeInject) {
			if c.ID == id && c.Level == Block && c.Found != "" && c.Remedy != "" {
				return
			}
		}
		t.Errorf("%s does not block", id)
	}
	fails := func(t *testing.T, pids func() ([]int, error)) {
		t.Helper()
		if r, err := Inject(within(t), pids, narrowFilter(t)); err == nil || len(r.Failed) != 1 || r.Processes != 0 {
			t.Errorf("%v %+v", err, r)
		}
	}
	t.Run("stopped", func(t *testing.T) {
		dir, pids := group(t)
		l := run(t, dir, path, "pause")
		_ = unix.Kill(l.Pid, unix.SIGSTOP)
		for state(l.Pid) != "T" {
			time.Sleep(time.Millisecond)
		}
		refused(t, "stopped", pids)
		fails(t, pids)
		// On its way back to the stop, it is runnable for a moment.
		eventually(t, "it is stopped again", func() bool { return state(l.Pid) == "T" })
	})
	t.Run("traced", func(t *testing.T) {
		if _, err := exec.LookPath("strace"); err != nil {
			t.Skip("needs strace")
		}
		dir, pids := group(t)
		l := run(t, dir, path, "pause")
		tracer := exec.Command("strace", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(l.Pid))
		if err := tracer.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tracer.Process.Signal(unix.SIGTERM); _ = tracer.Wait() }()
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.Pid))
			if !strings.Contains(string(b), "TracerPid:\t0") {
				break
			}
			if time.Now().After(end) {
				t.Fatal("strace does not attach")
			}
		}
		refused(t, "traced", pids)
		fails(t, pids)
	})
	t.Run("asleep", func(t *testing.T) {
		dir, pids := group(t)
		l := run(t, dir, path, "pause")
		awaitPause(t, l.Pid)
		call, err := policy.ParseCall("pause")
		if err != nil {
			t.Fatal(err)
		}
		p := policy.Derive(policy.Observed{policy.Boot: {{Call: call, Count: 1}}}, nil)
		for _, c := range Preflight(pids, p, ModeInject) {
			if c.ID == "asleep" && c.Level == Block && strings.Contains(c.Found, "pause") {
				return
			}
		}
		t.Error("a sleeper in a removed call does not block")
	})
	t.Run("nothing", func(t *testing.T) {
		none := func() ([]int, error) { return nil, nil }
		refused(t, "alive", none)
		if _, err := Inject(within(t), none, narrowFilter(t)); err == nil {
			t.Error("nothing was injected without an error")
		}
	})
}

// awaitPause waits until a process sleeps in pause.
func awaitPause(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
		// A call that waits for its keeper's answer shows, too, and is not there yet.
		at, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", pid))
		if strings.HasPrefix(string(b), "34 ") && !strings.Contains(string(at), "seccomp") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not pause: %s", b)
		}
	}
}

// state is the letter of a process' state.
func state(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
	return strings.Fields(rest)[0]
}
