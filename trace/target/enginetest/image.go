package enginetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Image is the name of the image whose files are two static programs: /few makes
// seven getppid and waits as many seconds as its argument says; /first makes one
// before anything else, and its exit status is that call's error.
const Image = "speaker-test/few:1"

// sources is where the programs' are, in the module.
const sources = "trace/target/enginetest/testdata"

// programs compiles them into a folder.
func programs(t *testing.T) (dir string) {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("no C compiler")
	}
	dir, from := t.TempDir(), filepath.Join(moduleRoot(t), sources)
	run(t, exec.Command("cc", "-O1", "-static", "-o", filepath.Join(dir, "few"), filepath.Join(from, "few.c")))
	run(t, exec.Command("cc", "-O1", "-static", "-nostdlib", "-o", filepath.Join(dir, "first"), filepath.Join(from, "first.c")))
	return dir
}

// moduleRoot is the folder that go.mod is in; a test runs in its package's.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == "/" {
			t.Fatal("no go.mod above this test")
		}
	}
}

// rootfs is an archive of the image's files.
func rootfs(t *testing.T) string {
	t.Helper()
	tar := filepath.Join(t.TempDir(), "root.tar")
	run(t, exec.Command("tar", "-cf", tar, "-C", programs(t), "few", "first"))
	return tar
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it runs container engines")
	}
}

// run runs a command and returns what it printed.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// background runs a command until the test ends.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &errs, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			s := errs.String()
			t.Logf("%s said:\n%s", cmd.Path, s[max(0, len(s)-4000):])
		}
	})
}
