package apply

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Real servers, from their packages, keep answering while they are injected.
func TestServersUnderLoad(t *testing.T) {
	for _, s := range []struct {
		program, config string
		args            func(config, dir string) []string
		ask, answer     string
	}{
		{"redis-server", "port 0\nunixsocket %[1]s/sock\nsave \"\"\nappendonly no\nio-threads 2\n",
			func(c, dir string) []string { return []string{c} }, "PING\r\n", "+PONG"},
		{"nginx", "daemon off;\nworker_processes 2;\npid %[1]s/pid;\nerror_log %[1]s/error.log;\nevents {}\nhttp { access_log off;\n" +
			"client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;\n" +
			"server { listen unix:%[1]s/sock; keepalive_requests 1000000; return 200 hello; } }\n",
			func(c, dir string) []string { return []string{"-c", c, "-p", dir} }, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello"},
	} {
		t.Run(s.program, func(t *testing.T) {
			needRoot(t)
			path, err := exec.LookPath(s.program)
			if err != nil {
				t.Skip("needs ", s.program)
			}
			cgroup, pids := group(t)
			dir := t.TempDir()
			config := filepath.Join(dir, "config")
			if err := os.WriteFile(config, fmt.Appendf(nil, s.config, dir), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			run(t, cgroup, append([]string{path}, s.args(config, dir)...)...)
			stop := askForever(t, filepath.Join(dir, "sock"), s.ask, s.answer)
			r, err := Inject(within(t), pids, narrowFilter(t))
			if err != nil {
				t.Fatalf("%v %+v", err, r)
			}
			proof, err := Prove(within(t), pids, testPolicy().NarrowSpec())
			if err != nil || !proof.OK {
				t.Fatalf("%v %+v", err, proof)
			}
			t.Logf("%d requests answered; %d processes, %d threads, stopped for %v", stop(), r.Processes, proof.Threads, r.Stops)
		})
	}
}

// askForever asks over four connections that stay open; each question must be answered.
func askForever(t *testing.T, sock, question, answer string) (stop func() uint64) {
	t.Helper()
	var n atomic.Uint64
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		c := dialUntil(t, sock)
		group.Add(1)
		go func() {
			defer group.Done()
			defer c.Close()
			for r := bufio.NewReader(c); ; n.Add(1) {
				select {
				case <-done:
					return
				default:
				}
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := c.Write([]byte(question)); err != nil {
					t.Errorf("question %d: %v", n.Load(), err)
					return
				}
				if err := readUntil(r, answer); err != nil {
					t.Errorf("question %d: %v", n.Load(), err)
					return
				}
			}
		}()
	}
	return func() uint64 {
		close(done)
		group.Wait()
		return n.Load()
	}
}

// readUntil reads up to the end of the answer.
func readUntil(r *bufio.Reader, answer string) error {
	var got strings.Builder
	for !strings.HasSuffix(got.String(), answer) {
		b, err := r.ReadByte()
		if err != nil {
			return fmt.Errorf("%w after %q", err, got.String())
		}
		got.WriteByte(b)
	}
	if strings.HasPrefix(answer, "+") { // a line
		_, err := r.ReadString('\n')
		return err
	}
	return nil
}

func dialUntil(t *testing.T, sock string) net.Conn {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", sock)
		if err == nil {
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
