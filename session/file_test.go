package session

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

func tempPath(t testing.TB) string { return filepath.Join(t.TempDir(), "x.speaker") }

func TestSavedSessionOpensAsItWas(t *testing.T) {
	s, epochs := fullSession(t, 400)
	if len(epochsOf(s)) == len(epochs) {
		t.Error("no epoch is of several")
	}
	path := tempPath(t)
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	got, damage, err := Open(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	compareRest(t, got, s)
	compareEpochs(t, got, epochsOf(s))
	if e, ok := got.Samples(), 2; len(e) != ok {
		t.Errorf("%d samples, want %d", len(e), ok)
	}
}

func TestWrittenAsItHappensOpensAsItWas(t *testing.T) {
	want, epochs := fullSession(t, 120)
	path := tempPath(t)
	w, err := Create(path, want.Meta())
	if err != nil {
		t.Fatal(err)
	}
	s := New(want.Meta())
	s.AddMark(Mark{Kind: MarkUser, Text: "before the file"})
	want.AddMark(Mark{Kind: MarkUser, Text: "before the file"})
	s.Attach(w)
	s.Attach(w)
	for _, e := range epochs {
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	fillRest(s)
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	got, damage, err := Open(path) // while it is being written
	if err != nil || damage != (Damage{Unclosed: true}) || damage.Any() {
		t.Fatal(damage, err)
	}
	compareRest(t, got, want)
	compareEpochs(t, got, epochs)
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, damage, err = Open(path); err != nil || damage.String() != "" {
		t.Fatal(damage, err)
	}
}

func TestPrivateAndNeverOverwritten(t *testing.T) {
	s, _ := fullSession(t, 5)
	link := tempPath(t)
	if err := os.Symlink("/nowhere/at/all", link); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(string) error{
		"save": func(p string) error { return Save(p, s) },
		"create": func(p string) error {
			w, err := Create(p, s.Meta())
			if err != nil {
				return err
			}
			return w.Close()
		},
	} {
		path := tempPath(t)
		if err := write(path); err != nil {
			t.Fatal(name, err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, st.Mode(), err)
		}
		before, _ := os.ReadFile(path)
		if err := write(path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s again: %v", name, err)
		}
		if after, _ := os.ReadFile(path); string(before) != string(after) {
			t.Errorf("%s: the file changed", name)
		}
		if err := write(link); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s through a link: %v", name, err)
		}
		left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
		if len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
}

// rename must not replace a file that came after the first look.
func TestRenameDoesNotReplace(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, p := range []string{a, b} {
		if err := os.WriteFile(p, []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := rename(a, b); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(b); string(got) != b {
		t.Fatalf("replaced by %q", got)
	}
}

func TestUndoAndAppendAcrossReopen(t *testing.T) {
	s, epochs := fullSession(t, 30)
	path := tempPath(t)
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	a, w, damage, err := OpenAppend(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	if _, _, _, err := OpenAppend(path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second writer got %v", err)
	}
	if !a.RedoEdit() || a.RedoEdit() {
		t.Error("one undone edit cannot be redone once")
	}
	a.UndoEdit()
	a.UndoEdit()
	a.AddEdit(policy.Edit{Op: "allow", Call: policy.Call{Nr: 9}, Phase: policy.Run})
	if a.RedoEdit() {
		t.Error("redone after a new edit")
	}
	a.AddSplit(Split{At: 5 * time.Second, By: "user"})
	end := a.Length()
	more := Epoch{Start: end, End: end + 100}
	if err := errors.Join(a.AddEpoch(more), w.Close()); err != nil {
		t.Fatal(err)
	}
	b, damage, err := Open(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	compareRest(t, b, a)
	compareEpochs(t, b, append(epochs, more))
	if sp, ok := b.Split(); !ok || sp.At != 5*time.Second {
		t.Errorf("the split is %v", sp)
	}
	if n := len(b.Edits()); n != 3 {
		t.Errorf("%d edits stand, want 3", n)
	}
}

func TestAppendBehindATornTail(t *testing.T) {
	s, epochs := fullSession(t, 30)
	b := layoutOf(t, s).bytes
	path := tempPath(t)
	if err := os.WriteFile(path, b[:len(b)-5], 0o600); err != nil { // the end mark is torn
		t.Fatal(err)
	}
	a, w, damage, err := OpenAppend(path)
	if err != nil || !damage.Cut || !damage.Unclosed || damage.Places != 1 {
		t.Fatal(damage, err)
	}
	a.AddMark(Mark{At: time.Second, Kind: MarkUser, Text: "after"})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, damage, err := Open(path)
	if err != nil || damage.Places != 1 || damage.Cut || damage.Unclosed {
		t.Fatal(damage, err)
	}
	compareRest(t, got, a)
	compareEpochs(t, got, epochs)
}

// Looking at a file changes nothing, and what is appended to one that was not
// closed does not make it look whole.
func TestAppendKeepsThatItWasNotClosed(t *testing.T) {
	s, _ := fullSession(t, 30)
	l := layoutOf(t, s)
	b := l.bytes[:l.frames[len(l.frames)-1][0]] // without the end
	path := tempPath(t)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, w, damage, err := OpenAppend(path)
	if err != nil || damage != (Damage{Unclosed: true}) {
		t.Fatal(damage, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(b) {
		t.Fatal("opening and closing it changed the file")
	}
	a, w, _, err := OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	a.AddMark(Mark{At: a.Length(), Kind: MarkUser, Text: "later"})
	a.AddSplit(Split{At: time.Second})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, damage, err := Open(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	compareRest(t, got, a)
	said := 0
	for _, text := range got.Completeness() {
		said += strings.Count(text, unclosed)
	}
	if said != 1 || !slices.Equal(got.Completeness(), a.Completeness()) {
		t.Errorf("it says %q, before %q", got.Completeness(), a.Completeness())
	}
}

// A pipe has no size and may never answer.
func TestOpenPipe(t *testing.T) {
	path := tempPath(t)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(path); !errors.Is(err, ErrNotSession) {
		t.Error(err)
	}
	if _, _, _, err := OpenAppend(path); !errors.Is(err, ErrNotSession) {
		t.Error(err)
	}
}

// Errors name the file that was asked for, and no temporary one.
func TestSaveNamesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "x.speaker")
	err := Save(path, New(Meta{}))
	if err == nil || err.Error() != "save session: "+path+": no such file or directory" {
		t.Error(err)
	}
}

func TestOpenOtherFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for name, text := range map[string]string{
		"empty": "", "text": "hello world, this is no session", "magic alone": magic,
		"a marker": magic + "\xf5Spk", "markers": strings.Repeat("\xf5Spk", 5000),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(path); !errors.Is(err, ErrNotSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, _, err := Open(dir); err == nil {
		t.Error("opened a folder")
	}
}

func TestNewerFramesArePassedOver(t *testing.T) {
	s, _ := fullSession(t, 3)
	path := tempPath(t)
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	b = appendFrame(b, frame{99, []byte{0xa0}})
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got, damage, err := Open(path)
	if err != nil || damage.NewerFrames != 1 || damage.BadFrames != 0 {
		t.Fatal(damage, err)
	}
	compareRest(t, got, s)
}
