package sample

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// starterWord makes the test binary start a container, and wait to be killed.
const starterWord = "_test-starter"

// starterMain says the container's process id when it waits, or serves if the
// word is "release".
func starterMain(args []string) int {
	c, err := Start(Options{Pace: quick})
	if err == nil && args[0] == "release" {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err = c.Release(); err == nil {
			err = c.Ready(ctx)
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.Pid)
	select {}
}

func TestStarterDies(t *testing.T) {
	needRoot(t)
	for _, release := range []bool{true, false} {
		t.Run(fmt.Sprintf("released %v", release), func(t *testing.T) {
			pid := orphan(t, map[bool]string{true: "release", false: "wait"}[release])
			if !release {
				eventually(t, "the end of the waiting init", func() bool { return gone(pid) })
				return
			}
			defer func() {
				unix.Kill(pid, unix.SIGKILL)
				eventually(t, "its end", func() bool { return gone(pid) || strings.HasPrefix(status(pid, "State"), "Z") })
			}()
			if !strings.Contains(argv(pid), "_demo-serve") {
				t.Fatalf("process %d is %q, want the server", pid, argv(pid))
			}
			eventually(t, "two workers", func() bool { return len(children(pid)) == 2 })
			// Its network is still there, and it serves in it.
			s, err := newSockets(pid, false)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			c := &Container{Pid: pid, Addr: ownAddr.String(), client: newClient(s, ownAddr), sockets: s}
			if text, err := c.Request("/"); err != nil || !strings.Contains(text, "<h1>") {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
}

// orphan makes a container whose starter was killed.
func orphan(t *testing.T, word string) (pid int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", starterWord, word)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	pid, err = strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the starter said %q", line)
	}
	return pid
}
