package proc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// lookMain tells what can be seen of a process that waits in poll.
func lookMain(pid int) int {
	say := func(word string, seen bool) {
		if seen {
			fmt.Println(word)
		}
	}
	i, err := Read(pid)
	say("status", err == nil && i.CapEff != 0)
	say("exe", i.Exe != "")
	threads := Threads([]int{pid})
	say("call", len(threads) == 1 && threads[0].Nr == unix.SYS_POLL)
	say("wait", len(ListenWaits([]int{pid})) == 1)
	_, err = Uring(pid)
	say("uring", err == nil)
	say("all", Supported() == nil)
	return 0
}

// What an ordinary user with some capabilities sees of a process of root's.
func TestPrivilege(t *testing.T) {
	const ptrace, search, override, admin = unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_DAC_OVERRIDE, unix.CAP_SYS_ADMIN
	all := []string{"status", "exe", "call", "wait", "uring", "all"}
	pid, _ := start(t, program(t, "waits.c", "-pthread"), "poll", "tcp")
	eventually(t, "asleep", func() bool { return len(ListenWaits([]int{pid})) == 1 })
	self := open(t)
	for _, c := range []struct {
		name string
		caps []uintptr
		want []string
	}{
		{"none", nil, []string{"status"}},
		{"CAP_SYS_PTRACE", []uintptr{ptrace}, []string{"status", "exe"}},
		{"CAP_DAC_READ_SEARCH", []uintptr{search}, []string{"status"}},
		{"CAP_SYS_ADMIN", []uintptr{admin}, []string{"status"}},
		{"CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH", []uintptr{ptrace, search}, all},
		{"CAP_SYS_PTRACE and CAP_DAC_OVERRIDE", []uintptr{ptrace, override}, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(self, "_look", strconv.Itoa(pid))
			cmd.Stderr = os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
				AmbientCaps: c.caps,
			}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Fields(string(out)); !slices.Equal(got, c.want) {
				t.Errorf("sees %q, want %q", got, c.want)
			}
		})
	}
}

// open copies the test program to where any user may run it.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "speaker-proc-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "test")
	b, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(path, b, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Each missing capability is named.
func TestPermitted(t *testing.T) {
	for caps, want := range map[uint64]string{
		0:                        "both are missing",
		1 << unix.CAP_SYS_PTRACE: "CAP_DAC_READ_SEARCH is missing",
		1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_SYS_ADMIN: "CAP_SYS_PTRACE is missing",
	} {
		if err := permitted(caps); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%#x: %v, want %q", caps, err, want)
		}
	}
	if err := permitted(1<<unix.CAP_SYS_PTRACE | 1<<unix.CAP_DAC_READ_SEARCH); err != nil {
		t.Error(err)
	}
}
