package trace

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// watchMain opens a tracer, says so or why not, and tells at the end of its input
// how often the target called getuid.
func watchMain(what string) int {
	c := Config{CgroupPath: what, SameMountNS: true}
	if pid, err := strconv.Atoi(what); err == nil {
		c = Config{Pid: pid}
	}
	tr, err := Open(c)
	if err != nil {
		fmt.Println(err)
		return 0
	}
	defer tr.Close()
	if err := tr.WatchDenials(true); err != nil {
		fmt.Println(err)
		return 0
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	s, err := tr.Snapshot()
	if err != nil {
		fmt.Println(err)
	}
	n := uint64(0)
	for _, r := range s.Rows {
		if r.Nr == unix.SYS_GETUID && r.Group == Main {
			n += r.Count
		}
	}
	fmt.Println(n, len(tr.Events(nil)) > 0)
	return 0
}

// watcher is an ordinary user with exactly these capabilities who watches.
type watcher struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

func watch(t testing.TB, what string, caps ...uintptr) (*watcher, string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "speaker-trace-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "test")
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(path, self, 0o755) // where any user may run it
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{cmd: exec.Command(path, "_watch", what)}
	w.cmd.Stderr = os.Stderr
	w.cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
		AmbientCaps: caps,
	}
	w.in, _ = w.cmd.StdinPipe()
	w.out, _ = w.cmd.StdoutPipe()
	start(t, w.cmd)
	b := make([]byte, 1000)
	n, _ := w.out.Read(b)
	return w, strings.TrimSpace(string(b[:n]))
}

// end is what the watcher saw.
func (w *watcher) end() string {
	w.in.Close()
	b, _ := io.ReadAll(w.out)
	return strings.TrimSpace(string(b))
}

// Two capabilities are all that watching needs, of a cgroup or of a tree of
// root's processes.
func TestWithoutRoot(t *testing.T) {
	needRoot(t)
	t.Run("cgroup", func(t *testing.T) {
		cg := anyCgroup(t)
		w, said := watch(t, cg, unix.CAP_BPF, unix.CAP_PERFMON)
		if said != "open" {
			t.Fatal(said)
		}
		run(t, enter(t, cg, program(t, "forks"), "50"))
		if got := w.end(); got != "50 true" { // ten processes of five
			t.Errorf("it saw %q", got)
		}
	})
	t.Run("tree", func(t *testing.T) {
		cmd := enter(t, "-", program(t, "forks"), "50")
		in, _ := cmd.StdinPipe()
		start(t, cmd)
		w, said := watch(t, strconv.Itoa(cmd.Process.Pid), unix.CAP_BPF, unix.CAP_PERFMON)
		if said != "open" {
			t.Fatal(said)
		}
		fmt.Fprintln(in, "go")
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := w.end(); got != "50 true" {
			t.Errorf("it saw %q", got)
		}
	})
	for name, c := range map[string]struct {
		caps []uintptr
		want string
	}{
		"no CAP_BPF":     {[]uintptr{unix.CAP_PERFMON, unix.CAP_SYS_PTRACE}, "CAP_BPF is missing"},
		"no CAP_PERFMON": {[]uintptr{unix.CAP_BPF, unix.CAP_SYS_PTRACE}, "CAP_PERFMON is missing"},
		"neither":        {nil, "both are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, said := watch(t, strconv.Itoa(os.Getpid()), c.caps...); !strings.Contains(said, c.want) || strings.Contains(said, "\n") {
				t.Errorf("it says %q, want %q", said, c.want)
			}
		})
	}
}
