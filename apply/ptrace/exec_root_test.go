package ptrace

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// notifying is a filter that asks a supervisor about one call.
func notifying(nr uint32) []unix.SockFilter {
	f := denying(nr, 0)
	f[2].K = unix.SECCOMP_RET_USER_NOTIF
	return f
}

// waiting starts a shell that will exec the target when it hears a line.
func waiting(t *testing.T, how string) (*victim, io.WriteCloser) {
	t.Helper()
	needRoot(t)
	path, err := build()
	if err != nil {
		t.Skip("needs a C compiler: ", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, cmd: exec.Command("/bin/sh", "-c", `read x; exec "$0" "$1"`, path, how), out: r, dead: make(chan struct{})}
	v.cmd.Stdout = w
	in, err := v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() { _ = v.cmd.Wait(); close(v.dead) }()
	t.Cleanup(func() {
		_ = v.cmd.Process.Kill()
		<-v.dead
		r.Close()
	})
	return v, in
}

// listen runs the injecting process over one exec; release is called when it is
// ready. It answers the outcome, or killed.
func (v *victim) listen(step int, release func()) (o outcome, killed bool) {
	v.t.Helper()
	cmd := exec.Command("/proc/self/exe", "listen", strconv.Itoa(v.pid()), strconv.Itoa(step))
	out, err := cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	r := bufio.NewReader(out)
	_, _ = r.ReadString('\n') // "ready", or nothing from one that died before
	release()
	line, _ := r.ReadString('\n')
	err = cmd.Wait()
	var exit *exec.ExitError
	killed = errors.As(err, &exit) && exit.ExitCode() == -1
	if !killed {
		if jsonErr := json.Unmarshal([]byte(line), &o); err != nil || jsonErr != nil || o.Err != "" {
			v.t.Fatalf("listen: %v %v %s", err, jsonErr, o.Err)
		}
	}
	return o, killed
}

// listeners counts the seccomp listeners that the victim holds.
func (v *victim) listeners() int {
	n := 0
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", v.pid()))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.Contains(to, "seccomp notify") {
			n++
		}
	}
	return n
}

// The filter is in before the program's first instruction, and the program
// holds no listener; whoever dies, and when.
func TestListenAtExec(t *testing.T) {
	for die := 0; ; die++ {
		if die > 200 {
			t.Fatal("it never ends")
		}
		v, in := waiting(t, "registers")
		_, killed := v.listen(die, func() { fmt.Fprintln(in, "go") })
		what := fmt.Sprintf("death at step %d", die)
		v.hears(what)
		v.lives(what)
		if n := v.listeners(); n != 0 {
			t.Fatalf("after %s: the program holds %d listeners", what, n)
		}
		if n := v.field("Seccomp_filters"); n > 1 || n != 1 && !killed {
			t.Fatalf("after %s: %d filters", what, n)
		}
		if n := v.field("TracerPid"); n != 0 {
			t.Fatalf("after %s: traced by %d", what, n)
		}
		_ = v.cmd.Process.Kill()
		if die > 0 && !killed {
			t.Logf("%d steps", die-1)
			return
		}
	}
}
