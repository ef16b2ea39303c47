package apply

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace/proc"
)

// injectAs is an ordinary user, with capabilities, who narrows a process.
func injectAs(pid int) int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	f, err := policy.Compile(testPolicy().NarrowSpec())
	if err == nil {
		_, err = Inject(ctx, func() ([]int, error) { return []int{pid}, nil }, f)
	}
	fmt.Println(err)
	return 0
}

// as runs a word of TestMain as an ordinary user with exactly these capabilities.
func as(t *testing.T, caps []uintptr, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(openDir(t), "test")
	b, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(path, b, 0o755) // where any user may run it
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
		AmbientCaps: caps,
	}
	return cmd
}

// openDir is a directory that belongs to the ordinary user.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "speaker-apply-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return dir
}

var ours = []uintptr{unix.CAP_SYS_PTRACE, unix.CAP_SYS_ADMIN}

// Three capabilities are enough to narrow a process of root's, and none is to spare.
func TestInjectWithoutRoot(t *testing.T) {
	s := launch(t)
	if err := s.l.Release(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "ok")
	all := append(slices.Clone(ours), unix.CAP_DAC_READ_SEARCH)
	for _, missing := range all {
		var caps []uintptr
		for _, c := range all {
			if c != missing {
				caps = append(caps, c)
			}
		}
		if out, err := as(t, caps, "_inject_as", strconv.Itoa(s.l.Pid)).Output(); err != nil || strings.TrimSpace(string(out)) == "<nil>" {
			t.Errorf("without capability %d: %q, %v", missing, out, err)
		}
		s.wants("mkdir", "ok")
	}
	out, err := as(t, all, "_inject_as", strconv.Itoa(s.l.Pid)).Output()
	if err != nil || strings.TrimSpace(string(out)) != "<nil>" {
		t.Fatalf("%s %v", out, err)
	}
	s.wants("mkdir", "EPERM")
}

// And to hold a command of one's own.
func TestHoldWithoutRoot(t *testing.T) {
	needRoot(t)
	dir := openDir(t)
	cmd := as(t, ours, "_workbench", dir, filepath.Join(dir, "holds"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, _ := bufio.NewReader(out).ReadString('\n')
	var pid int
	if _, err := fmt.Sscanf(line, "held %d", &pid); err != nil {
		t.Fatalf("it says %q", line)
	}
	defer unix.Kill(pid, unix.SIGKILL) // its keeper ends with it
	i, err := proc.Read(pid)
	if err != nil || i.Filters == 0 || i.Uid != 65534 {
		t.Errorf("the held process has no filter: %+v, %v", i, err)
	}
}
