package apply

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A question names the files that the call came through: of mkdir(1), the C library
// first and then its own.
func TestAskModules(t *testing.T) {
	needRoot(t)
	path, err := exec.LookPath("mkdir")
	if err != nil {
		t.Skip(err)
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Skip("needs a mkdir that is a program: ", err)
	}
	libs, err := file.ImportedLibraries()
	file.Close()
	if err != nil || !slices.Contains(libs, "libc.so.6") {
		t.Skip("needs a mkdir that uses the C library as a file of its own")
	}
	ownHolds(t)
	dir := t.TempDir()
	begin, made := filepath.Join(dir, "begin"), filepath.Join(dir, "made")
	if err := unix.Mkfifo(begin, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Launch([]string{"sh", "-c", "read x <" + begin + "; exec mkdir " + made}, LaunchOptions{Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	h, err := StartHold(within(t), "modules", Waiting{Pid: l.Pid, Release: l.Release}, testPolicy())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Wait() }()
	t.Cleanup(func() { _ = unix.Kill(l.Pid, unix.SIGKILL) })
	if err := h.AskFor(0, Asking{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(begin, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	q := asked(t, h, 1)
	eventually(t, "what it came through", func() bool { q = asked(t, h, 1); return len(q.Modules) > 1 })
	t.Log(q)
	if i, j := slices.Index(q.Modules, "libc.so.6"), slices.Index(q.Modules, filepath.Base(q.Image)); i != 0 || j < 1 || q.Text != made {
		t.Errorf("%q, image %s, text %q", q.Modules, q.Image, q.Text)
	}
	if err := h.Answer(q.ID, AllowOnce, 0); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
