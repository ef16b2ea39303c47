package apply

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const toAllow = `{"Op":"allow"}` + "\n"

// peer tells a keeper to allow, and writes what came of it to a file. Without one it
// does that on a socket that it was given, and ends at once.
func peer(socket, report string) int {
	if report == "" {
		if unix.Connect(3, &unix.SockaddrUnix{Name: socket}) != nil || unix.Send(3, []byte(toAllow), 0) != nil {
			return 1
		}
		return 0
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	fmt.Fprint(c, toAllow)
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		line = "closed"
	}
	if os.WriteFile(report, []byte(line), 0o600) != nil {
		return 1
	}
	return 0
}

// A process that entered the target's cgroup has no filter, and is heard no more for
// that; one beside it is.
func TestPeerInCgroup(t *testing.T) {
	s, h := heldGroup(t, "peers")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(keeperDir, "peers.sock")
	below := filepath.Join(s.cgroup, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	defer unix.Rmdir(below)
	beside, _ := group(t)
	for _, x := range []struct {
		cgroup string
		heard  bool
	}{{s.cgroup, false}, {below, false}, {beside, true}} {
		report := filepath.Join(t.TempDir(), "report")
		l, err := Launch([]string{"/proc/self/exe", "_peer", socket, report}, LaunchOptions{Cgroup: x.cgroup, Stderr: os.Stderr})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
		_ = l.Wait()
		if got := readFile(t, report); (got != "closed") != x.heard {
			t.Errorf("in %s: %s", x.cgroup, got)
		}
		if now := status(t, h).Mode; (now == "allow") != x.heard {
			t.Errorf("in %s: the hold is in %s", x.cgroup, now)
		}
	}
}

// A target that got at the folder of the sockets, and answers there itself, is not taken
// for a keeper.
func TestPeerPoses(t *testing.T) {
	s, _ := held(t, "real")
	s.wants("pose", "ok")
	record := strings.Replace(readFile(t, filepath.Join(keeperDir, "real.json")), `"real"`, `"posed"`, 1)
	if err := os.WriteFile(filepath.Join(s.dir, "posed.json"), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	keeperDir = s.dir // the next of the cleanups sets it back
	if _, err := Attach("posed"); err == nil || !strings.Contains(err.Error(), "is not its keeper: the peer is under a seccomp filter") {
		t.Errorf("attached: %v", err)
	}
}

// Whoever has the number of a peer that has ended is not taken for it.
func TestPeerEnded(t *testing.T) {
	needPeerPidfd(t)
	_, h := held(t, "ended")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	k := status(t, h).Keeper
	stand(t, k, unix.SIGSTOP)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := os.NewFile(uintptr(fd), "socket")
	defer ours.Close()
	c := exec.Command("/proc/self/exe", "_peer", filepath.Join(keeperDir, "ended.sock"), "")
	c.ExtraFiles = []*os.File{ours}
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD); errors.Is(err, unix.ENOPROTOOPT) {
		t.Log("no process gets that number: before Linux 6.5 it could not be told from the one that had it")
	} else {
		numbered(t, c.Process.Pid)
	}
	stand(t, k, unix.SIGCONT)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	if n, err := ours.Read(make([]byte, 1)); n > 0 || errors.Is(err, unix.EAGAIN) {
		t.Errorf("it is heard: %v", err)
	}
	if now := status(t, h).Mode; now != "deny" {
		t.Errorf("the hold is in %s", now)
	}
}

func needPeerPidfd(t *testing.T) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.GetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err == nil {
		unix.Close(pidfd)
	}
	unix.Close(fds[0])
	unix.Close(fds[1])
	if errors.Is(err, unix.ENOPROTOOPT) {
		t.Skip("needs Linux 6.5: who connected is known by number only, which another may have by now")
	}
}

// stand stops a process or lets it go on.
func stand(t *testing.T, pid int, s unix.Signal) {
	t.Helper()
	if err := unix.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGCONT) })
	eventually(t, fmt.Sprint("process ", pid, " after ", s), func() bool {
		return strings.Contains(readFile(t, fmt.Sprintf("/proc/%d/stat", pid)), ") T ") == (s == unix.SIGSTOP)
	})
}

// numbered has a process of the host's get a number, where that can be done; who
// else starts processes may get it first.
func numbered(t *testing.T, pid int) {
	t.Helper()
	for range 50 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Log("no process gets that number: ", err)
			return
		}
		c := exec.Command("sleep", "60")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		end := func() { _ = c.Process.Kill(); _ = c.Wait() }
		if c.Process.Pid == pid {
			t.Cleanup(end)
			return
		}
		end()
	}
	t.Log("no process got that number in 50 attempts")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
