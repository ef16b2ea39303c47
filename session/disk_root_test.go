package session

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRealFullDisk fills a small tmpfs while a session is written to it.
func TestRealFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("speaker-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	want, epochs := fullSession(t, 2000)
	path := filepath.Join(dir, "x")
	w, err := Create(path, want.Meta())
	if err != nil {
		t.Fatal(err)
	}
	s := New(want.Meta())
	s.Attach(w)
	for i, e := range epochs {
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
		if i%40 == 0 {
			w.Sync()
		}
	}
	if err := w.Sync(); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	got, damage, err := Open(path)
	if err != nil || damage.BadFrames > 0 || got.Length() == 0 {
		t.Fatal(damage, err)
	}
	if err := Save(filepath.Join(dir, "y"), s); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("saved on a full disk: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	got, damage, err = Open(path)
	if err != nil || damage.Any() {
		t.Fatal(damage, err)
	}
	compareEpochs(t, got, epochsOf(s))
}

// Root may go on with a recording of somebody else's: it stays theirs.
func TestFileKeepsItsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to make a file of another user")
	}
	path := tempPath(t)
	_, w, _ := recorded(t, path)
	if err := errors.Join(os.Chown(path, 65534, 65533), os.Chmod(path, 0o640), w.writeAnew(), w.Close()); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Uid != 65534 || st.Gid != 65533 || st.Mode&0o7777 != 0o640 {
		t.Errorf("it is of %d:%d, mode %o, %v", st.Uid, st.Gid, st.Mode, err)
	}
}
