package session

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recorded is a session that is being written to a file at path, with all but
// its last epochs in it.
func recorded(t *testing.T, path string) (*Session, *Writer, []Epoch) {
	t.Helper()
	want, epochs := fullSession(t, 600)
	w, err := Create(path, want.Meta())
	if err != nil {
		t.Fatal(err)
	}
	s := New(want.Meta())
	s.Attach(w)
	for _, e := range epochs[:500] {
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	fillRest(s)
	return s, w, epochs[500:]
}

// names lists the files of a folder.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

// Whatever is added while the file is written anew is in the new one, once.
func TestFileIsWrittenAnewWhileItGrows(t *testing.T) {
	path := tempPath(t)
	s, w, rest := recorded(t, path)
	done := make(chan error, 1)
	go func() {
		var err error
		for range 30 {
			err = errors.Join(err, w.writeAnew(), w.Sync())
		}
		done <- err
	}()
	for i, e := range rest {
		s.AddMark(Mark{At: time.Duration(i), Kind: MarkUser})
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ms)
	}
	if err := errors.Join(<-done, w.Sync()); err != nil {
		t.Fatal(err)
	}
	got, damage, err := Open(path)
	if err != nil || damage != (Damage{Unclosed: true}) {
		t.Fatal(damage, err)
	}
	compareRest(t, got, s)
	if err := errors.Join(w.writeAnew(), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, damage, err = Open(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	compareRest(t, got, s)
	compareEpochs(t, got, epochsOf(s))
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	if n := names(t, filepath.Dir(path)); len(n) != 1 {
		t.Errorf("left behind: %v", n)
	}
}

// A file that is closed is as coarse as its session, and smaller than it was.
func TestClosedFileIsAsCoarseAsItsSession(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "x"), filepath.Join(dir, "link")
	if err := os.Symlink("x", link); err != nil {
		t.Fatal(err)
	}
	s, w, rest := recorded(t, path)
	w.path = link
	for i, e := range rest {
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 { // a second
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	before := w.size
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.size >= before {
		t.Errorf("%d bytes, before %d", w.size, before)
	}
	for _, p := range []string{path, link} {
		got, _, err := Open(p)
		if err != nil {
			t.Fatal(err)
		}
		compareEpochs(t, got, epochsOf(s))
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", st.Mode(), err)
	}
}

// Where writing it anew could harm, a file is appended to and no more.
func TestFileIsNotWrittenAnew(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"another name": func(p string) error { return os.Link(p, p+"2") },
		"it was moved": func(p string) error { return os.Rename(p, p+"2") },
		"it is gone":   os.Remove,
		"another file": func(p string) error {
			return errors.Join(os.Remove(p), os.WriteFile(p, []byte("somebody's"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempPath(t)
			s, w, rest := recorded(t, path)
			if err := harm(path); err != nil {
				t.Fatal(err)
			}
			before := names(t, filepath.Dir(path))
			if err := w.writeAnew(); !errors.Is(err, errAside) {
				t.Error(err)
			}
			for _, e := range rest {
				if err := s.AddEpoch(e); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if after := names(t, filepath.Dir(path)); len(after) != len(before) {
				t.Errorf("files are %v, were %v", after, before)
			}
			if b, err := os.ReadFile(path); name == "another file" && string(b) != "somebody's" {
				t.Errorf("it holds %q, %v", b, err)
			}
			got, damage, err := Open(path + "2")
			if len(before) > 0 && name != "another file" && (err != nil || damage != (Damage{}) || got.Length() != s.Length()) {
				t.Error(damage, err)
			}
		})
	}
}

// Somebody may put another file there at the last moment: it gets its place back.
func TestExchangeGivesBackWhatIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	for _, p := range []string{a, b, c} {
		if err := os.WriteFile(p, []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var ours unix.Stat_t
	if err := unix.Lstat(c, &ours); err != nil {
		t.Fatal(err)
	}
	if err := exchange(a, b, ours); !errors.Is(err, errAside) {
		t.Error(err)
	}
	for _, p := range []string{a, b} {
		if got, err := os.ReadFile(p); string(got) != p {
			t.Errorf("%s holds %q, %v", p, got, err)
		}
	}
}

// A file that epochs are not added to stays byte for byte what it was, and one
// that lost something keeps what may yet be read of it.
func TestOpenedFilesAreNotWrittenAnew(t *testing.T) {
	s, _ := fullSession(t, 600)
	whole := layoutOf(t, s).bytes
	for name, x := range map[string]struct {
		lost, record bool
	}{"edited": {false, false}, "damaged": {true, true}} {
		b := append([]byte(nil), whole...)
		if x.lost {
			b[len(b)/2] ^= 1
		}
		path := tempPath(t)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		a, w, _, err := OpenAppend(path)
		if err != nil {
			t.Fatal(name, err)
		}
		w.anew.base = -1 << 30 // as if it had grown
		a.AddMark(Mark{Kind: MarkUser})
		if x.record {
			if err := a.AddEpoch(Epoch{Start: a.Length(), End: a.Length() + 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after[:len(b)]) != string(b) {
			t.Errorf("%s: the file changed, %v", name, err)
		}
	}
}

// Who opened the file just before it was written anew must not append to what
// has no name any more.
func TestOpenedTooEarly(t *testing.T) {
	path := tempPath(t)
	_, w, _ := recorded(t, path)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(inPlace(f, path), w.writeAnew(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(lock(f)); err != nil {
		t.Fatal(err)
	}
	if inPlace(f, path) == nil {
		t.Error("taken for the file at its path")
	}
}

// What a killed writer left is cleared away by the next one; what only has its name
// is not.
func TestClearAside(t *testing.T) {
	path := tempPath(t)
	left := aside(path)
	write := func(content string) {
		if err := os.WriteFile(left, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	gone := func() bool { _, err := os.Lstat(left); return err != nil }
	write(magic + "half of a frame")
	_, w, _ := recorded(t, path)
	if !gone() {
		t.Error("Create leaves it")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name    string
		prepare func()
		gone    bool
	}{
		{"empty", func() { write("") }, true},
		{"not ours", func() { write("a note") }, false},
		{"a link", func() { os.Remove(left); os.Symlink(path, left) }, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			x.prepare()
			_, w, _, err := OpenAppend(path)
			if err != nil {
				t.Fatal(err)
			}
			if gone() != x.gone {
				t.Errorf("gone: %t", gone())
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if _, _, err := Open(path); err != nil {
		t.Error(err)
	}
}
