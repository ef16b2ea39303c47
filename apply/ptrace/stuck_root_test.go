package ptrace

import (
	"bufio"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// A signal that stops a thread just when it is given up still arrives.
func TestLeaveKeepsTheSignal(t *testing.T) {
	v := start(t, "sigsuspend")
	cmd := exec.Command("/proc/self/exe", "leave", strconv.Itoa(v.pid()))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "seized\n" {
		t.Fatalf("%q %v", line, err)
	}
	if err := unix.Kill(v.pid(), unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	v.hears("being left")
	v.lives("it")
}
