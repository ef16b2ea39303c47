package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
	"speaker/trace/target"
)

// gate waits for a line, then becomes the server: the process can enter a cgroup
// before the program begins.
func gate(dir string) {
	os.Stdin.Read(make([]byte, 1))
	panic(syscall.Exec("/proc/self/exe", []string{"serve", "_serve", dir}, nil))
}

// serve boots (it makes a folder), listens, and answers; "/late" makes a link.
func serve(dir string) {
	if err := os.Mkdir(filepath.Join(dir, "boot"), 0o700); err != nil {
		panic(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		b := make([]byte, 8)
		if n, _ := c.Read(b); string(b[:n]) == "late" {
			os.Symlink("x", filepath.Join(dir, "link"))
		}
		fmt.Fprint(c, "ok")
		c.Close()
	}
}

func ask(dir, what string) error {
	c, err := net.Dial("unix", filepath.Join(dir, "sock"))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprint(c, what); err != nil {
		return err
	}
	if n, err := c.Read(make([]byte, 2)); n != 2 {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}

// ownCgroup makes a cgroup for the time of a test, and skips where nothing can be
// traced in one.
func ownCgroup(t *testing.T) string {
	t.Helper()
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
	cgroup, remove, err := target.NewCgroup(fmt.Sprintf("speaker-session-test-%d", os.Getpid()))
	if err != nil {
		t.Skipf("no cgroup: %v", err)
	}
	t.Cleanup(func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
	return cgroup
}

// startIn starts a program that waits for a line, and gives it that once it is in
// the cgroup.
func startIn(t *testing.T, cgroup string, cmd *exec.Cmd) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := target.Enter(cgroup, cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	fmt.Fprintln(in)
}

// TestRecordARealServer records a server from its first call on, with the real
// tracer and /proc, and finds the split between its boot and its serving.
func TestRecordARealServer(t *testing.T) {
	cgroup := ownCgroup(t)
	tracer, err := trace.Open(trace.Config{CgroupPath: cgroup, SameMountNS: true})
	if err != nil {
		t.Fatal(err)
	}
	path := tempPath(t)
	w, err := Create(path, Meta{Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Meta{Tool: "test"})
	rec := Record(t.Context(), s, w, tracer, Proc{}, Options{})
	dir := t.TempDir()
	stop := startServer(t, cgroup, dir)
	defer stop()

	var sp Split
	await(t, 30*time.Second, "a proposal", func() bool {
		ok := false
		ask(dir, "hi") // refused until it serves
		sp, ok = s.Propose(s.Length())
		return ok
	})
	if err := ask(dir, "late"); err != nil {
		t.Fatal(err)
	}
	await(t, 5*time.Second, "the late call", func() bool { return used(s, sp, policy.Run, "symlinkat", "symlink") })
	stop()
	await(t, 5*time.Second, "the end", func() bool {
		m := s.Marks()
		return len(m) > 0 && strings.Contains(fmt.Sprint(m), MarkEnded)
	})
	if err := errors.Join(rec.Stop(), w.Close()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%v: %s", sp.At, sp.How)
	for _, e := range sp.Evidence {
		t.Logf("  %v %v %s", e.At, e.For, e.Text)
	}
	got, damage, err := Open(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	for _, x := range []*Session{s, got} {
		checkServer(t, x, sp)
	}
}

// startServer starts a server in cgroup, and returns what kills it.
func startServer(t *testing.T, cgroup, dir string) func() {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "_gate", dir)
	startIn(t, cgroup, cmd)
	done := false
	return func() {
		if !done {
			cancel()
			cmd.Wait() // killed
			done = true
		}
	}
}

func checkServer(t *testing.T, s *Session, sp Split) {
	t.Helper()
	if sp.Confidence != High || !s.Meta().StartSeen {
		t.Errorf("confidence %q, start seen %v: %v", sp.Confidence, s.Meta().StartSeen, s.Completeness())
	}
	for _, x := range []struct {
		phase policy.Phase
		names []string
		want  bool
	}{
		{policy.Init, []string{"execve"}, true}, // the one that starts the program
		{policy.Boot, []string{"mkdirat", "mkdir"}, true},
		{policy.Boot, []string{"listen"}, true},
		{policy.Run, []string{"mkdirat", "mkdir"}, false},
		{policy.Run, []string{"listen"}, false},
		{policy.Run, []string{"execve"}, false},
		{policy.Run, []string{"accept4"}, true},
		{policy.Run, []string{"write"}, true},
	} {
		if used(s, sp, x.phase, x.names...) != x.want {
			t.Errorf("%v in %v: %v", x.names, x.phase, !x.want)
		}
	}
	if m := s.Marks(); !strings.Contains(fmt.Sprint(m), MarkStart) || !strings.Contains(fmt.Sprint(m), "sock") {
		t.Errorf("marks %v", m)
	}
}

func used(s *Session, sp Split, ph policy.Phase, names ...string) bool {
	for _, u := range s.Observed(sp)[ph] {
		for _, n := range names {
			if u.Call.Name() == n {
				return true
			}
		}
	}
	return false
}

func await(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(20 * ms) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come within %v", what, d)
		}
	}
}
