package trace

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests, or is one of the programs that they watch. It fails
// if a test leaves a file open: a map that is not closed stays in the kernel.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "_enter":
			os.Exit(enterMain(os.Args[2:]))
		case "_serve":
			os.Exit(serveMain())
		case "_watch":
			os.Exit(watchMain(os.Args[2]))
		case "_busy":
			os.Exit(busyMain())
		}
	}
	before := openFiles()
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	if after := openFiles(); code == 0 && len(after) > len(before) {
		fmt.Fprintf(os.Stderr, "left open: %q, before: %q\n", after, before)
		code = 1
	}
	os.Exit(code)
}

// openFiles lists this process' open files, without the runtime's own epoll and
// the profiles of go test, which are closed after us.
func openFiles() (names []string) {
	dir, _ := os.ReadDir("/proc/self/fd")
	for _, e := range dir {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(to, "[eventpoll]") && !strings.Contains(to, "[eventfd]") && !isProfile(to) {
			names = append(names, to)
		}
	}
	return names
}

func isProfile(path string) bool {
	for _, name := range []string{"cpuprofile", "trace"} {
		if f := flag.Lookup("test." + name); f.Value.String() != "" && strings.HasSuffix(path, filepath.Base(f.Value.String())) {
			return true
		}
	}
	return false
}

// enterMain enters a cgroup and becomes a program: _enter CGROUP PROGRAM ARGS...
// With "-" for the cgroup it waits for a byte on stdin instead.
func enterMain(args []string) int {
	var err error
	if args[0] == "-" {
		_, err = io.ReadFull(os.Stdin, make([]byte, 1))
	} else {
		err = os.WriteFile(args[0]+"/cgroup.procs", []byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err == nil {
		err = syscall.Exec(args[1], args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// serveMain is a small server: it says where it listens, answers until SIGTERM.
func serveMain() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		fmt.Fprintln(c, "hello")
		c.Close()
	}
}

// busyMain keeps the Go runtime's threads, timers and preemption signals busy.
func busyMain() int {
	done := make(chan int)
	for i := range 16 {
		go func() {
			sum := 0
			for j := range 3_000_000 {
				sum += j ^ i
			}
			f, err := os.CreateTemp("", "speaker-trace")
			if err == nil {
				fmt.Fprint(f, sum)
				f.Close()
				os.Remove(f.Name())
			}
			time.Sleep(time.Millisecond)
			done <- sum
		}()
	}
	for range 16 {
		<-done
	}
	return 0
}

// needBPF skips a test that cannot watch anything here, with the reason.
func needBPF(t testing.TB) {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
}

// needRoot skips a test that cannot make its own cgroups, too.
func needRoot(t testing.TB) {
	t.Helper()
	needBPF(t)
	if os.Getuid() != 0 {
		t.Skip("making cgroups needs root")
	}
}

func open(t testing.TB, c Config) *Tracer {
	t.Helper()
	tr, err := Open(c)
	if err != nil {
		t.Fatalf("open tracer: %v", err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

var programs struct{ dir string }

// bare are the flags for a program without libc: a few KB, each of its calls known.
var bare = []string{"-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-no-pie", "-fcf-protection=none"}

// program builds testdata/NAME.c statically, once, and returns its path. Where
// there is no compiler, SPEAKER_TEST_PROGRAMS names a directory with the programs.
func program(t testing.TB, name string, flags ...string) string {
	t.Helper()
	if dir := os.Getenv("SPEAKER_TEST_PROGRAMS"); dir != "" {
		return filepath.Join(dir, name)
	}
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("no C compiler")
	}
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "speaker-trace-test")
		if err != nil {
			t.Fatal(err)
		}
		programs.dir = dir
	}
	path := filepath.Join(programs.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	args := append([]string{"-O2", "-static", "-pthread", "-Wall", "-Wno-unused-result", "-D_GNU_SOURCE"}, flags...)
	cmd := exec.Command("cc", append(args, "-o", path, "testdata/"+name+".c")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile %s: %v\n%s", name, err, out)
	}
	return path
}

// hierarchies are the places to make cgroups in: one v1 hierarchy and v2.
func hierarchies(t testing.TB) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, h := range []struct{ name, path string }{
		{"v1 pids", "/sys/fs/cgroup/pids"}, {"v1 memory", "/sys/fs/cgroup/memory"},
		{"v2", "/sys/fs/cgroup/unified"}, {"v2", "/sys/fs/cgroup"},
	} {
		if where, err := hierarchyOf(h.path); err == nil && (where == unified) == (h.name == "v2") {
			found[h.name] = h.path
		}
	}
	if len(found) == 0 {
		t.Skip("no cgroup hierarchy is mounted")
	}
	return found
}

// anyCgroup makes a cgroup in whatever hierarchy there is.
func anyCgroup(t testing.TB) string {
	t.Helper()
	h := hierarchies(t)
	for _, name := range []string{"v1 pids", "v2", "v1 memory"} {
		if h[name] != "" {
			return cgroup(t, h[name])
		}
	}
	return ""
}

var cgroups int

// cgroup makes a cgroup that is removed when the test ends.
func cgroup(t testing.TB, under string) string {
	t.Helper()
	cgroups++
	return named(t, under, fmt.Sprintf("speaker-trace-test-%d-%d", os.Getpid(), cgroups))
}

func named(t testing.TB, under, name string) string {
	t.Helper()
	path := filepath.Join(under, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		until(t, "the cgroup can be removed", func() bool {
			err := unix.Rmdir(path)
			return err == nil || errors.Is(err, unix.ENOENT)
		})
	})
	return path
}

// enter is a command that enters the cgroup before it becomes the program. It is
// killed when the test ends.
func enter(t testing.TB, cgroup string, argv ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute*patience())
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, append([]string{"_enter", cgroup}, argv...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out.String()
}

// patience is how much longer things may take than on a machine of today.
// SPEAKER_TEST_SLOW says that this one is emulated.
func patience() time.Duration {
	if os.Getenv("SPEAKER_TEST_SLOW") != "" {
		return 8
	}
	return 1
}

// until polls, at most ten seconds.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second * patience()); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s until %s", what)
		}
	}
}

// native is the ABI of the processor that the tests run on.
var native = abis[0]

type key struct {
	group Group
	abi   ABI
	nr    uint32
}

// total adds epochs up and checks what holds for each of them.
type total struct {
	counts map[key]uint64
	end    uint64
	lost   Lost
}

func (c *total) add(t testing.TB, tr *Tracer) {
	t.Helper()
	s, err := tr.Snapshot()
	if err != nil {
		t.Errorf("snapshot: %v", err)
		return
	}
	if c.counts == nil {
		c.counts = map[key]uint64{}
	}
	if c.end != 0 && s.Start != c.end {
		t.Errorf("epoch begins at %d, the one before ended at %d", s.Start, c.end)
	}
	for _, r := range s.Rows {
		// 5 ms: the counting program may itself be interrupted.
		if r.Count == 0 || r.First > r.Last || r.Last > s.End || r.First+5e6*uint64(patience()) < s.Start {
			t.Errorf("row %+v does not fit into its epoch %d..%d", r, s.Start, s.End)
		}
		c.counts[key{r.Group, r.ABI, r.Nr}] += r.Count
	}
	c.end, c.lost = s.End, s.Lost
}

// group is the counts of one group.
func (c *total) group(g Group) map[key]uint64 {
	out := map[key]uint64{}
	for k, n := range c.counts {
		if k.group == g {
			out[key{Main, k.abi, k.nr}] = n
		}
	}
	return out
}

// snapshots takes one every period in the background until stop is called, which
// takes the last one and returns the sum.
func snapshots(t testing.TB, tr *Tracer, period time.Duration) (stop func() *total) {
	sum := &total{}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(period); ; {
			select {
			case <-tick.C:
				sum.add(t, tr)
			case <-quit:
				tick.Stop()
				return
			}
		}
	}()
	return func() *total {
		close(quit)
		<-done
		sum.add(t, tr)
		return sum
	}
}
