package apply

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// login makes the cgroup of a login as systemd does, in its own hierarchy or in v2.
func login(t *testing.T) string {
	t.Helper()
	needRoot(t)
	mounts, err := proc.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if !m.V2 && !m.Has("name=systemd") {
			continue
		}
		top := filepath.Join(m.At, fmt.Sprint("speaker-apply-test-login-", os.Getpid()))
		dir := filepath.Join(top, "user.slice", "user-0.slice", "session-7.scope")
		if os.MkdirAll(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			eventually(t, "the login's cgroup to go", func() bool {
				for d := dir; d != m.At; d = filepath.Dir(d) {
					_ = unix.Rmdir(d)
				}
				_, err := os.Stat(top)
				return os.IsNotExist(err)
			})
		})
		return dir
	}
	t.Skip("needs systemd's hierarchy of cgroups, or v2")
	return ""
}

// logind ends with a login all that is in its cgroup. The keeper of a hold that was
// begun there is not.
func TestLoginEnds(t *testing.T) {
	dir := login(t)
	ownHolds(t)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	l, err := Launch([]string{"/proc/self/exe", "_workbench", t.TempDir(), keeperDir}, LaunchOptions{Cgroup: dir, Stdout: in, Stderr: os.Stderr})
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Wait() }()
	t.Cleanup(func() { _ = unix.Kill(l.Pid, unix.SIGKILL) })
	line, err := bufio.NewReader(out).ReadString('\n')
	server, convErr := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "held ")))
	if err != nil || convErr != nil {
		t.Fatalf("workbench: %q %v", line, err)
	}
	h, err := Attach("orphan")
	if err != nil {
		t.Fatal(err)
	}
	keeper := status(t, h).Keeper
	for _, pid := range strings.Fields(readFile(t, filepath.Join(dir, "cgroup.procs"))) {
		n, _ := strconv.Atoi(pid)
		if n == keeper {
			t.Error("the keeper is in the login's cgroup")
		}
		if n != server { // which may be where its own cgroup is
			_ = unix.Kill(n, unix.SIGKILL)
		}
	}
	if err := h.Deny(); err != nil {
		t.Error(err)
	}
	if st := status(t, h); st.Keeper != keeper || st.Mode != "deny" {
		t.Errorf("%+v", st)
	}
	_ = unix.Kill(server, unix.SIGKILL)
	eventually(t, "the keeper leaves", func() bool { _, err := h.Status(); return err != nil })
}
