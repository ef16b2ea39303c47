package proc

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// program builds a test program once for all tests, and skips without a compiler.
// Where there is none, SPEAKER_TEST_PROGRAMS names a directory with the programs.
func program(t *testing.T, source string, flags ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: /proc tells of other processes only to it")
	}
	name := strings.TrimSuffix(source, ".c")
	if dir := os.Getenv("SPEAKER_TEST_PROGRAMS"); dir != "" {
		return filepath.Join(dir, name)
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc")
	}
	built.Lock()
	defer built.Unlock()
	path := filepath.Join(built.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	args := append(flags, "-O1", "-static", "-D_GNU_SOURCE", "-o", path, filepath.Join("testdata", source))
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", source, err, out)
	}
	return path
}

var built struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "_look" {
		pid, _ := strconv.Atoi(os.Args[2])
		os.Exit(lookMain(pid))
	}
	dir, err := os.MkdirTemp("", "speaker-proc-test")
	if err != nil {
		panic(err)
	}
	built.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// start runs a program to the end of the test, and returns it with the first
// line that it printed.
func start(t *testing.T, path string, args ...string) (pid int, line string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		in.Close()
		cmd.Wait()
	})
	line, err = bufio.NewReader(out).ReadString('\n')
	if err == io.EOF {
		if state, _ := cmd.Process.Wait(); state != nil && state.ExitCode() == 77 {
			t.Skip("this kernel lacks what the program shows")
		}
		t.Fatalf("%s %v ended at once", path, args)
	}
	return cmd.Process.Pid, strings.TrimSpace(line)
}

// eventually polls until ok, for five seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in five seconds: %s", what)
		}
	}
}
