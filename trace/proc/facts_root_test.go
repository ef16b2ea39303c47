package proc

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadSelf(t *testing.T) {
	i, err := Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	exe, _ := os.Executable()
	if i.PPid != os.Getppid() || i.Uid != os.Geteuid() || i.Gid != os.Getegid() || i.Threads < 1 || !slices.Equal(i.Cmdline, os.Args) ||
		i.Compat32 || i.Kernel || i.Exe != exe {
		t.Errorf("got %+v", i)
	}
	if _, err := Read(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a process that is not there: %v", err)
	}
	for _, tid := range numbers("/proc/self/task", 100) {
		if _, err := Read(tid); tid != os.Getpid() && !errors.Is(err, ErrThread) {
			t.Errorf("thread %d: %v", tid, err)
		}
	}
}

func TestListening(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "a b"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, addr := range listening(Thread{Pid: os.Getpid(), Tid: os.Getpid()}) {
		if addr == "unix "+l.Addr().String() {
			return
		}
	}
	t.Errorf("own unix socket %s is not among what listens", l.Addr())
}

// No name and no number of groups hides the lines that a decision rests on.
func TestReadHostile(t *testing.T) {
	path := program(t, "facts.c", "-pthread")
	pid, _ := start(t, path, "groups")
	i, err := Read(pid)
	if err != nil || i.Seccomp != 2 || i.Filters != 1 || !i.NoNewPrivs {
		t.Errorf("got %+v, %v", i, err)
	}
	pid, _ = start(t, path, "name")
	eventually(t, "asleep", func() bool {
		th := Threads([]int{pid})
		return len(th) == 1 && th[0].Nr == unix.SYS_PAUSE
	})
	i, err = Read(pid)
	if err != nil || i.Comm != "x) R 1\n(" || i.State != 'S' || i.PPid != os.Getpid() {
		t.Errorf("got %+v, %v", i, err)
	}
	if th := Threads([]int{pid}); len(th) != 1 || th[0].Comm != i.Comm {
		t.Errorf("got %+v", th)
	}
}

func TestUring(t *testing.T) {
	path := program(t, "facts.c", "-pthread")
	for what, want := range map[string]bool{"ring": true, "mapped ring": true, "polled ring": true, "private ring": true,
		"ring without a leader": true, "hidden ring": true, "nothing": false, "listener": false} {
		t.Run(what, func(t *testing.T) {
			pid, _ := start(t, path, what)
			if got, err := Uring(pid); err != nil || got != want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	pid, _ := start(t, path, "mapped ring")
	if got, err := mapsRing(pid, 200); err == nil || got {
		t.Errorf("a memory map that is cut off before the ring: %v, %v", got, err)
	}
	if _, err := Uring(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a process that is not there: %v", err)
	}
}

func TestListenerFDs(t *testing.T) {
	path := program(t, "facts.c", "-pthread")
	a, _ := start(t, path, "listener")
	b, _ := start(t, path, "private listener")
	not, _ := start(t, path, "nothing")
	got, err := ListenerFDs()
	if err != nil || !slices.Contains(got, a) || !slices.Contains(got, b) || slices.Contains(got, not) {
		t.Errorf("got %v, %v; want %d and %d, not %d", got, err, a, b, not)
	}
}

// A process is told as frozen by its own cgroup or one above it, in v1 and v2.
func TestFrozen(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	mounts, err := Mounts()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, m := range mounts {
		switch {
		case m.V2:
			t.Run("v2", func(t *testing.T) { testFrozen(t, m.At, "cgroup.freeze", "1", "0") })
		case m.Has("freezer"):
			t.Run("v1", func(t *testing.T) { testFrozen(t, m.At, "freezer.state", "FROZEN", "THAWED") })
		default:
			continue
		}
		tried++
	}
	if tried == 0 {
		t.Skip("no hierarchy here can freeze")
	}
	if _, err := Frozen(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a process that is not there: %v", err)
	}
}

func testFrozen(t *testing.T, root, file, on, off string) {
	outer := filepath.Join(root, "speaker-proc-test")
	inner := filepath.Join(outer, "inner")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	set := func(dir, word string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(word), 0); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		set(outer, off)
		set(inner, off)
		cmd.Process.Kill()
		cmd.Wait()
		eventually(t, "the cgroups are removed", func() bool { return os.Remove(inner) == nil && os.Remove(outer) == nil })
	})
	if err := os.WriteFile(filepath.Join(inner, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	is := func(want bool, when string) {
		t.Helper()
		if got, err := Frozen(cmd.Process.Pid); err != nil || got != want {
			t.Errorf("%s: got %v, %v", when, got, err)
		}
	}
	is(false, "at first")
	for _, dir := range []string{inner, outer} {
		set(dir, on)
		is(true, "as soon as asked to freeze "+dir)
		set(dir, off)
		eventually(t, "thawed", func() bool { f, err := Frozen(cmd.Process.Pid); return err == nil && !f })
	}
}

// A tree has the children of children, and no more of them once they ended.
func TestTree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "sh -c 'sleep 60 & echo $!; wait' & wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	b := make([]byte, 16)
	n, _ := out.Read(b)
	leaf, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	got, err := Tree(cmd.Process.Pid)
	if err != nil || len(got) != 3 || got[0] != cmd.Process.Pid || got[2] != leaf {
		t.Errorf("got %v, %v, want three of %d with %d last", got, err, cmd.Process.Pid, leaf)
	}
	for _, pid := range got {
		unix.Kill(pid, unix.SIGKILL)
	}
	eventually(t, "the tree is gone", func() bool { got, err := Tree(cmd.Process.Pid); return err == nil && got == nil }) // a zombie until we wait
}

func TestRuns(t *testing.T) {
	pid, _ := start(t, program(t, "waits.c", "-pthread"), "dead leader")
	eventually(t, "its first thread has ended", func() bool {
		s, err := statOf(pid)
		return err == nil && s.state == 'Z'
	})
	if !Runs(pid) {
		t.Error("a process whose first thread alone has ended does not run")
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a zombie does not run", func() bool { return !Runs(cmd.Process.Pid) })
	cmd.Wait()
	if Runs(1<<30) || Runs(0) {
		t.Error("what is not there runs")
	}
}
