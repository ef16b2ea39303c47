package apply

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// testPolicy removes the making of directories at the split, and what may
// never be in run.
func testPolicy() policy.Policy {
	removed := map[string]bool{"mkdir": true, "mkdirat": true, "seccomp": true, "ptrace": true,
		"io_uring_setup": true, "io_uring_enter": true, "io_uring_register": true}
	obs := policy.Observed{}
	for _, c := range policy.Calls(policy.X86_64) {
		u := policy.Use{Call: c, Count: 1}
		obs[policy.Boot] = append(obs[policy.Boot], u)
		if !removed[c.String()] {
			obs[policy.Run] = append(obs[policy.Run], u)
		}
	}
	return policy.Derive(obs, nil)
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: stops other processes and loads filters into them")
	}
}

// server is a launched target.
type server struct {
	t      *testing.T
	l      *Launched
	dir    string
	cgroup string // "" for none of its own
	ended  chan struct{}
}

// launch makes the server; it waits for Release.
func launch(t *testing.T) *server {
	t.Helper()
	needRoot(t)
	s := &server{t: t, dir: t.TempDir(), ended: make(chan struct{})}
	l, err := Launch([]string{"/proc/self/exe", "_server", s.dir}, LaunchOptions{Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	s.l = l
	go func() { _ = l.Wait(); close(s.ended) }()
	t.Cleanup(func() {
		_ = unix.Kill(l.Pid, unix.SIGKILL)
		<-s.ended
	})
	return s
}

func (s *server) pids() ([]int, error) { return []int{s.l.Pid}, nil }

// dial connects to the server in dir.
func dial(t testing.TB, dir string) net.Conn {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", filepath.Join(dir, "server"))
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// ask sends a line and answers the line that comes back.
func ask(t testing.TB, dir, word string) string {
	t.Helper()
	c := dial(t, dir)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second * patience()))
	fmt.Fprintln(c, word)
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("ask %s: %v", word, err)
	}
	return strings.TrimSpace(line)
}

func (s *server) wants(word, want string) {
	s.t.Helper()
	if got := ask(s.t, s.dir, word); got != want {
		s.t.Fatalf("%s: %s, want %s", word, got, want)
	}
}

// load asks without a pause until stop; every question must be answered.
func (s *server) load() (stop func() uint64) {
	var n atomic.Uint64
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 3 {
		c := dial(s.t, s.dir)
		group.Add(1)
		go func() {
			defer group.Done()
			r := bufio.NewReader(c)
			for {
				select {
				case <-done:
					return
				default:
				}
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				fmt.Fprintln(c, "ping")
				if line, err := r.ReadString('\n'); err != nil || line != "pong\n" {
					s.t.Errorf("request %d was lost: %q, %v", n.Load(), line, err)
					return
				}
				n.Add(1)
			}
		}()
	}
	return func() uint64 {
		close(done)
		group.Wait()
		return n.Load()
	}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second*patience())
	t.Cleanup(cancel)
	return ctx
}

// patience is how much longer things may take than on a machine of today.
// SPEAKER_TEST_SLOW says that this one is emulated.
func patience() time.Duration {
	if os.Getenv("SPEAKER_TEST_SLOW") != "" {
		return 8
	}
	return 1
}

// ownHolds gives the test a folder of its own for keepers.
func ownHolds(t testing.TB) {
	t.Helper()
	old := keeperDir
	keeperDir = filepath.Join(t.TempDir(), "holds")
	t.Cleanup(func() { keeperDir = old })
}

// held starts the server under a hold.
func held(t *testing.T, name string) (*server, *Hold) {
	t.Helper()
	ownHolds(t)
	s := launch(t)
	h, err := StartHold(within(t), name, Waiting{Pid: s.l.Pid, Release: s.l.Release}, testPolicy())
	if err != nil {
		t.Fatal(err)
	}
	return s, h
}
