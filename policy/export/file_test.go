package export

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// full is a disk with nothing left.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, unix.ENOSPC }

func hello(w io.Writer) error {
	_, err := io.WriteString(w, "hello")
	return err
}

func TestToFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "profile.json")
	if err := ToFile(path, hello); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	onlyIn(t, dir, "profile.json")
}

// Errors name the file that was asked for, and no temporary one.
func TestToFileNamesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "profile.json")
	if err := ToFile(path, hello); err == nil || err.Error() != "write "+path+": no such file or directory" {
		t.Error(err)
	}
	path = filepath.Join(t.TempDir(), "profile.json")
	err := ToFile(path, func(w io.Writer) error {
		w.(io.Closer).Close()
		return hello(w)
	})
	if err == nil || err.Error() != "write "+path+": file already closed" {
		t.Error(err)
	}
}

func TestToFileNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "taken")
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	unused := func(io.Writer) error { t.Error("wrote for a name that is taken"); return nil }
	if err := ToFile(path, unused); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	if err := ToFile(link, unused); !errors.Is(err, fs.ErrExist) {
		t.Errorf("dangling link: got %v", err)
	}
	// Someone takes the name while the content is being written.
	late := filepath.Join(dir, "late")
	err := ToFile(late, func(w io.Writer) error {
		return errors.Join(hello(w), os.WriteFile(late, []byte("theirs"), 0o644))
	})
	if got, _ := os.ReadFile(late); !errors.Is(err, fs.ErrExist) || string(got) != "theirs" {
		t.Errorf("got %v, %q", err, got)
	}
	onlyIn(t, dir, "late", "link", "taken")
}

func TestToFileLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "profile.json")
	err := ToFile(path, func(w io.Writer) error {
		return errors.Join(hello(w), fmt.Errorf("half way: %w", unix.ENOSPC))
	})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
	onlyIn(t, dir)
	if err := ToFile(filepath.Join(dir, "none", "profile.json"), hello); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such folder: got %v", err)
	}
}

// Not every file system knows RENAME_NOREPLACE, but every one that is written to
// must keep what is there.
func TestLinkNew(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	for _, path := range []string{from, to} {
		if err := os.WriteFile(path, []byte(path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := linkNew(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if err := linkNew(from, filepath.Join(dir, "new")); err != nil {
		t.Error(err)
	}
	onlyIn(t, dir, "new", "to")
}

func onlyIn(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}
