//go:build amd64

package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serversImage has real servers from Debian packages; .ci/images builds it.
const serversImage = "speaker-test/servers"

// Real servers in Docker, from their first call to a clean stop with real
// requests in between, must have made the calls that strace -f saw of the same
// run, each as often.
//
// For strace to see the first call too, the container's first process is a gate
// which waits until strace on the host has hold of it, and then becomes the
// server. All that the gate does is known, so that nothing is left over: up to
// the attachment Main has its open alone, after it its execve, which strace's
// count begins behind. strace is outside the container, and the server is its
// first process, as ever: the tracer sees an ordinary boot.
func TestServersEqualStrace(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace")
	}
	if exec.Command("docker", "image", "inspect", serversImage).Run() != nil {
		t.Skip("needs Docker and the image " + serversImage + " that .ci/images builds")
	}
	for _, s := range []struct {
		name  string
		flags []string
		argv  []string
		port  string
		ask   func(net.Conn, *bufio.Reader) error
	}{
		{"nginx", nil, []string{"/usr/sbin/nginx", "-g", "daemon off;"}, "80", askHTTP},
		{"redis", nil, []string{"/usr/bin/redis-server", "--protected-mode", "no", "--save", ""}, "6379", askRedis},
		{"postgres", []string{"--user", "postgres"}, []string{"/bin/sh", "-c", `cd /usr/lib/postgresql/*/bin && D=/tmp/db &&
			./initdb -D $D --no-sync >/dev/null && echo "host all all all trust" >>$D/pg_hba.conf &&
			exec ./postgres -D $D -k /tmp -h '*' -c fsync=off`}, "5432", askPostgres},
	} {
		t.Run(s.name, func(t *testing.T) {
			g := newGate(t)
			args := append([]string{"create", "--name", "sc-strace-" + s.name, "--entrypoint", "/gate"}, g.mounts...)
			args = append(append(args, s.flags...), serversImage, "/fifo")
			_ = exec.Command("docker", "rm", "-f", "sc-strace-"+s.name).Run() // of a test that was killed
			id := docker(t, append(args, s.argv...)...)
			t.Cleanup(func() { docker(t, "rm", "-f", id) })
			tr := open(t, Config{Arm: dockerLeafs(id), Controller: dockerHierarchy(t)})
			if err := tr.WatchDenials(true); err != nil {
				t.Fatal(err)
			}
			docker(t, "start", id)
			pid := docker(t, "inspect", "--format", "{{.State.Pid}}", id)
			var before total
			g.wait(t, pid)
			before.add(t, tr)
			isGate(t, &before, true)
			file := g.strace(t, pid)
			before = total{end: before.end}
			before.add(t, tr)
			isGate(t, &before, false)

			stop := snapshots(t, tr, 100*time.Millisecond)
			g.open(t)
			requests(t, id, s.port, s.ask)
			docker(t, "stop", "--time", "60", id)
			if code := docker(t, "inspect", "--format", "{{.State.ExitCode}}", id); code != "0" {
				t.Errorf("the server ended with %s\n%s", code, docker(t, "logs", "--tail", "20", id))
			}
			g.straced(t)
			until(t, "all processes are gone", func() bool { return len(tr.Pids()) == 0 })
			sum := stop()
			if n := len(sum.group(Init)) + len(sum.group(Exec)); n != 0 || sum.lost.Table != 0 {
				t.Errorf("%d calls are not in Main, lost %+v", n, sum.lost)
			}
			got := sum.group(Main)
			got[key{Main, X86_64, unix.SYS_EXECVE}]-- // the gate's
			addDenials(t, got, tr)
			want, cut := readStrace(t, file, s.argv)
			sameCounts(t, got, want, cut)
			for _, d := range denials(t, tr) {
				t.Logf("refused by seccomp: %+v", d)
			}
		})
	}
}

// isGate wants Main to have nothing but the gate's open, and Init nothing when
// the runtime's part is over.
func isGate(t *testing.T, got *total, started bool) {
	t.Helper()
	main := got.group(Main)
	open := key{Main, X86_64, unix.SYS_OPEN}
	if n := main[open]; (started && n != 1) || len(main) > 1 || (len(main) == 1 && n == 0) {
		t.Errorf("the program's first calls are %v, not an open", main)
	}
	if n := len(got.group(Init)); (n != 0) != started || len(got.group(Exec)) != 0 {
		t.Errorf("Init has %d calls, Exec %d", n, len(got.group(Exec)))
	}
}

// gate holds a container's program back, see testdata/gate.c.
type gate struct {
	dir, fifo string
	mounts    []string // flags of docker create
	cmd       *exec.Cmd
}

func newGate(t *testing.T) *gate {
	t.Helper()
	dir := t.TempDir()
	g := &gate{dir: dir, fifo: filepath.Join(dir, "fifo")}
	if err := errors.Join(unix.Mkfifo(g.fifo, 0), os.Chmod(g.fifo, 0o644)); err != nil {
		t.Fatal(err)
	}
	g.mounts = []string{"-v", program(t, "gate", bare...) + ":/gate:ro", "-v", g.fifo + ":/fifo"}
	return g
}

// wait waits until the process sleeps at the gate.
func (g *gate) wait(t *testing.T, pid string) {
	t.Helper()
	until(t, "the process is at the gate", func() bool {
		call, err := os.ReadFile("/proc/" + pid + "/syscall")
		return err == nil && strings.HasPrefix(string(call), fmt.Sprint(unix.SYS_OPEN, " "))
	})
}

// strace attaches strace to the process at the gate, and returns what it writes.
func (g *gate) strace(t *testing.T, pid string) (file string) {
	t.Helper()
	file = filepath.Join(g.dir, "strace")
	g.cmd = exec.Command("strace", "-f", "-n", "-s", "999", "-o", file, "-p", pid)
	start(t, g.cmd)
	// To attach interrupts the open, which is then made again.
	until(t, "strace has the process", func() bool {
		out, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(out), `open("/fifo"`)
	})
	g.wait(t, pid)
	return file
}

// open lets the process through.
func (g *gate) open(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(g.fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// straced waits until strace has written all.
func (g *gate) straced(t *testing.T) {
	t.Helper()
	if err := g.cmd.Wait(); err != nil {
		t.Fatalf("strace: %v", err)
	}
}

// requests has two clients make some requests, each over a connection of its own.
func requests(t *testing.T, id, port string, ask func(net.Conn, *bufio.Reader) error) {
	t.Helper()
	addr := net.JoinHostPort(docker(t, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", id), port)
	one := func() error {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		return ask(c, bufio.NewReader(c))
	}
	var err error
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = one(); err == nil {
			break // it serves: strace makes a boot long
		}
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 20 {
				if err := one(); err != nil {
					t.Errorf("request: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if err != nil {
		t.Fatalf("it does not serve: %v\n%s", err, docker(t, "logs", "--tail", "20", id))
	}
}

func askHTTP(c net.Conn, r *bufio.Reader) error {
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	page, err := io.ReadAll(r)
	if err == nil && !strings.Contains(string(page), "</html>") {
		err = fmt.Errorf("answered %q", page)
	}
	return err
}

func askRedis(c net.Conn, r *bufio.Reader) error {
	for range 3 {
		if _, err := io.WriteString(c, "INCR n\r\n"); err != nil {
			return err
		}
		line, err := r.ReadString('\n')
		if err != nil || line[0] != ':' {
			return fmt.Errorf("answered %q: %w", line, err)
		}
	}
	return nil
}

// askPostgres logs in and asks for a product.
func askPostgres(c net.Conn, r *bufio.Reader) error {
	for _, m := range []string{
		"\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00",
		"Q\x00\x00\x00\x0fSELECT 6*7\x00",
	} {
		if _, err := io.WriteString(c, m); err != nil {
			return err
		}
		// Up to ReadyForQuery, which is Z, its length, and I for idle.
		var got []byte
		for !strings.HasSuffix(string(got), "Z\x00\x00\x00\x05I") {
			b, err := r.ReadByte()
			if err != nil {
				return fmt.Errorf("answered %q: %w", got, err)
			}
			got = append(got, b)
		}
		if m[0] == 'Q' && !strings.Contains(string(got), "\x00\x0242") {
			return fmt.Errorf("answered %q", got)
		}
	}
	_, err := io.WriteString(c, "X\x00\x00\x00\x04")
	return err
}
