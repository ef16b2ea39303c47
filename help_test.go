package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"speaker/trace/proc"
	"speaker/trace/target"
)

// image has real servers from Debian packages; .ci/images builds it.
const image = "speaker-test/servers"

// patience bounds every wait for something that takes a second or so on a
// machine that has nothing else to do.
const patience = time.Minute

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it watches and stops processes")
	}
}

func needServers(t testing.TB) {
	t.Helper()
	needRoot(t)
	if exec.Command("docker", "image", "inspect", image).Run() != nil {
		t.Skip("needs Docker and the image " + image + " that .ci/images builds")
	}
}

// eventually waits until ok, and fails the test when it takes too long. said
// tells what was last seen.
func eventually(t testing.TB, what string, ok func() (done bool, said string)) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		done, said := ok()
		if done {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s: %s", patience, what, said)
		}
	}
}

func docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// startContainer runs a server in a container that is removed with the test.
func startContainer(t testing.TB, name string, s server, flags ...string) {
	t.Helper()
	createContainer(t, name, s, flags...)
	docker(t, "start", name)
}

func createContainer(t testing.TB, name string, s server, flags ...string) {
	t.Helper()
	_ = exec.Command("docker", "rm", "-f", name).Run() // of a test that was killed
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("docker", "logs", "--tail", "20", name).CombinedOutput()
			t.Logf("docker logs %s:\n%s", name, out)
		}
		_ = exec.Command("docker", "rm", "-f", name).Run()
	})
	args := slices.Concat([]string{"create", "--name", name}, s.flags, flags, []string{image}, s.command)
	docker(t, args...)
}

// inspect finds a container.
func inspect(t testing.TB, name string) target.Target {
	t.Helper()
	d, err := target.NewDocker("")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c, err := d.Inspect(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// address is where a container's server listens, once it answers there.
func address(t testing.TB, name string, s server) (addr string) {
	t.Helper()
	eventually(t, name+" to serve", func() (bool, string) {
		ip := docker(t, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", name)
		if ip == "" {
			return false, "it is down"
		}
		addr = ip + ":" + strconv.Itoa(s.port)
		c := s.client(addr)
		defer c.close()
		err := c.ask()
		return err == nil, errText(err)
	})
	return addr
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// filters counts the seccomp filters of each process; what is traced or
// stopped fails the test, as nobody may be left so.
func filters(t testing.TB, pids []int) map[int]int {
	t.Helper()
	out := map[int]int{}
	for _, pid := range pids {
		i, err := proc.Read(pid)
		if err != nil || i.State == 'Z' {
			continue // a server's child that has ended
		}
		if i.Tracer != 0 || strings.ContainsRune("tT", rune(i.State)) {
			t.Errorf("process %d (%s) is in state %c, traced by %d", pid, i.Comm, i.State, i.Tracer)
		}
		out[pid] = i.Filters
	}
	return out
}

// builtBinary is speaker, built once as `make build` does it, where every user can
// start it.
var builtBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "speaker-e2e-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	out := filepath.Join(dir, "speaker")
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "netgo,osusergo",
		"-ldflags", "-linkmode external -extldflags -static", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: "go build", Err: errorString(text)}
	}
	return out, nil
})

// builtIn is the folder of builtBinary, "" while there is none; TestMain removes it.
var builtIn string

type errorString string

func (e errorString) Error() string { return string(e) }

// speaker is the command with its arguments, not started yet.
func speaker(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

// nobody makes a command run as a user without any privilege.
func nobody(cmd *exec.Cmd) *exec.Cmd {
	args := append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"}, cmd.Args...)
	return exec.Command("setpriv", args...)
}

// output runs a command and returns what it printed on standard output.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd.Args, err, out.String(), errs.String())
	}
	return out.String()
}

// soon is a context that ends before a reader of tests loses patience.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// tree lists a process and its descendants.
func tree(t testing.TB, pid int) []int {
	t.Helper()
	pids, err := proc.Tree(pid)
	if err != nil {
		t.Fatal(err)
	}
	return pids
}
