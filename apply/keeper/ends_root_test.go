package keeper

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// How a process ended is known though its parent has waited for it.
func TestHowProcessesEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it hears of all processes")
	}
	e := hearEvents()
	if e == nil {
		t.Skip("the kernel tells nothing of processes here: it is not the host, or has no CONFIG_PROC_EVENTS")
	}
	defer e.close()
	for script, want := range map[string]unix.WaitStatus{"exit 0": 0, "exit 3": 3 << 8, "kill -9 $$": unix.WaitStatus(unix.SIGKILL)} {
		cmd := exec.Command("sh", "-c", script)
		_ = cmd.Run()
		pid := cmd.Process.Pid
		got, known := e.of(pid, func(p int) bool { return p == pid })
		if !known || got != want {
			t.Errorf("%s: status %#x, known %v, want %#x", script, got, known, want)
		}
	}
	if s, known := e.of(1, func(int) bool { return false }); known {
		t.Errorf("the first process ended with %#x", s)
	}
}
