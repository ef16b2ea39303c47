package ready

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A target's port is that of its own network.
func TestOtherNetwork(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root: no other network can be made")
	}
	c := exec.Command("unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep 60")
	if err := c.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to := self()
	to.Pid = func() int { return c.Process.Pid }
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for { // until it is in its own network: before, ours would answer
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", c.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if theirs != ours {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for { // and its loopback is up
		if _, err := ask(t, fmt.Sprintf("tcp:%d", 1), to, 50*time.Millisecond); errors.Is(err, unix.ECONNREFUSED) {
			break
		}
	}
	if got, err := ask(t, fmt.Sprintf("tcp:%d", l.Addr().(*net.TCPAddr).Port), to, 400*time.Millisecond); err == nil {
		t.Errorf("our own network answered: %v", got)
	}
	theirs, err := socketIn(c.Process.Pid, unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(theirs)
	if err := unix.Bind(theirs, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(theirs, 1); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, fmt.Sprintf("tcp:%d", at.(*unix.SockaddrInet4).Port), to, 5*time.Second); err != nil {
		t.Error(err)
	}
}
