package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fakeDaemon answers on a socket of its own as handle says, and as a daemon does
// when it is asked for its version.
func fakeDaemon(t *testing.T, handle http.HandlerFunc) *Docker {
	t.Helper()
	l := listen(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("/", handle)
	s := &http.Server{Handler: mux}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return dial(t, l)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l net.Listener) *Docker {
	t.Helper()
	d, err := NewDocker("unix://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func expectError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
		t.Errorf("got %.600v, want one line with %q", err, want)
	}
}

// A daemon that hangs, at whatever point, holds nobody up past the deadline.
func TestDaemonHangs(t *testing.T) {
	silent := dial(t, listen(t)) // the kernel accepts; nobody reads
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	half := fakeDaemon(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"Id":"`)
		w.(http.Flusher).Flush()
		<-stop
	})
	calls := map[string]func(context.Context, *Docker) error{
		"list":    func(ctx context.Context, d *Docker) error { _, err := d.List(ctx); return err },
		"inspect": func(ctx context.Context, d *Docker) error { _, err := d.Inspect(ctx, "web"); return err },
		"restart": func(ctx context.Context, d *Docker) error { return d.Restart(ctx, "web") },
		"start":   func(ctx context.Context, d *Docker) error { return d.Start(ctx, "web") },
	}
	for name, call := range calls {
		for kind, d := range map[string]*Docker{"silent": silent, "half an answer": half} {
			if kind != "silent" && (name == "restart" || name == "start") {
				continue // the head of the answer is all there is to it
			}
			t.Run(name+" "+kind, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
				defer cancel()
				began := time.Now()
				err := call(ctx, d)
				expectError(t, err, "does not answer in time")
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := silent.List(ctx)
	expectError(t, err, "canceled")
}

func TestDaemonErrors(t *testing.T) {
	gone := listen(t)
	path := gone.Addr().String()
	gone.(*net.UnixListener).SetUnlinkOnClose(false)
	gone.Close()
	d, err := NewDocker("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.List(context.Background())
	expectError(t, err, "no docker daemon answers at unix://"+path+" (connection refused): is it running?")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = d.List(context.Background())
	expectError(t, err, "there is no such socket")

	for _, host := range []string{"nonsense", "ssh://x", "npipe:////./pipe/x", "unix"} {
		_, err := NewDocker(host)
		expectError(t, err, "give unix:///PATH or tcp://HOST:PORT")
	}

	chatter := listen(t)
	go func() {
		for {
			c, err := chatter.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 mail ready\r\n")
			c.Close()
		}
	}()
	_, err = dial(t, chatter).List(context.Background())
	expectError(t, err, "does not speak as a docker daemon does")

	angry := fakeDaemon(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(500)
		fmt.Fprintf(w, `{"message":"one\ntwo %s"}`, strings.Repeat("x", 10000))
	})
	_, err = angry.List(context.Background())
	expectError(t, err, "docker: one two xxx")

	wrong := fakeDaemon(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"a":`) })
	_, err = wrong.List(context.Background())
	expectError(t, err, "docker: ")
}

// An answer without end is cut off before it fills our memory.
func TestDaemonFloods(t *testing.T) {
	d := fakeDaemon(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"Id":"`)
		for junk := bytes.Repeat([]byte("a"), 1<<20); ; {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := d.List(ctx)
	expectError(t, err, "more than 64 MiB")
}

// What a daemon says of a process is believed only as far as the kernel bears it
// out: a wrong pid would have us put a filter into somebody else's process.
func TestDaemonLies(t *testing.T) {
	id := strings.Repeat("0a", 32)
	pid := os.Getpid()
	d := fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/containers/json") {
			fmt.Fprintf(w, `[{"Id":"%s","Names":null},{"Id":"x","Names":["/%s"],"Command":"%s"}]`, id, strings.Repeat("n", 9000), strings.Repeat("c", 9000))
			return
		}
		fmt.Fprintf(w, `{"Id":"%s","Name":"/web","State":{"Status":"running","Pid":%d}}`, id, pid)
	})
	_, err := d.Inspect(context.Background(), "web")
	expectError(t, err, "not in a cgroup of that id here")
	pid = 1 << 30
	_, err = d.Inspect(context.Background(), "web")
	expectError(t, err, "is not here")
	pid = -5
	if c, err := d.Inspect(context.Background(), "web"); err != nil || c.Pid != 0 || c.CgroupPath != "" {
		t.Errorf("got %+v, %v", c, err)
	}
	list, err := d.List(context.Background())
	if err != nil || len(list) != 2 || list[0].Name != id[:12] || len(list[1].Name) > 5000 || len(list[1].Command) > 5000 {
		t.Errorf("got %.300v, %v", list, err)
	}
	for _, name := range []string{"../x", "a b", "a?b", "", ".", strings.Repeat("x", 300)} {
		_, err := d.Inspect(context.Background(), name)
		if err == nil || !strings.Contains(err.Error(), "no container") {
			t.Errorf("%.20q: got %.200v", name, err)
		}
	}
}

// A user who may not use the socket is told so, and what to do.
func TestDaemonForbidden(t *testing.T) {
	if path := os.Getenv("SPEAKER_TEST_FORBIDDEN"); path != "" {
		d, err := NewDocker("unix://" + path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.List(context.Background())
		expectError(t, err, "may not be used by this user: run as root, or as a member of its group")
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: becomes another user")
	}
	dir, err := os.MkdirTemp("", "speaker-target-test")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "test") // where another user may reach it
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestDaemonForbidden$", "-test.v")
	cmd.Env, cmd.Dir = []string{"SPEAKER_TEST_FORBIDDEN=" + path}, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDaemonForbidden") {
		t.Errorf("%v\n%s", err, out)
	}
}
