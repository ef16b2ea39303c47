package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// growth, and a quarter of what it was, is how much a file grows before it is
	// written anew; littleGrowth is the same when it is closed.
	growth       = 256 << 10
	littleGrowth = 16 << 10
)

// anew is what a Writer needs to write its file anew. The file is only ever
// appended to, and holds the epochs as they came; those of the session become
// coarser as they age. So now and then the session is written to a second file
// beside the first, which is appended to as ever meanwhile. What was appended
// since is copied behind it, and the two trade places in one step. Whenever the
// writer is killed, one whole file lies at the path.
//
// It does not happen where it could harm: to a file that lost something or has
// frames of a newer version, one that epochs were not added to, one with other
// names (links), one that is no longer at its path, or on a file system where
// two files cannot trade places. Such a file is appended to, and no more.
type anew struct {
	session   *Session
	allowed   bool  // its file lost nothing
	recording bool  // epochs were added
	base      int64 // size of the file when it was opened or last written anew

	wait    sync.WaitGroup // for the one that runs
	running bool
	copied  bool   // a copy was taken: see keeps what is queued
	tail    []byte // what was queued since
	long    bool   // the disk is so slow that it was too much to keep
}

// errAside is why a file is not written anew.
var errAside = errors.New("the file cannot be written anew where it is")

// of says whose file w writes. Call it with the session's lock held.
func (w *Writer) of(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.anew.session, w.anew.allowed = s, !s.damage.Any()
}

// see takes frames that are queued. Call it with the Writer's lock held.
func (a *anew) see(frames []byte) {
	if a.long = a.long || len(a.tail) > maxPending; a.copied && !a.long {
		a.tail = append(a.tail, frames...)
	}
}

// goAnew begins to write the file anew, if it is time.
func (w *Writer) goAnew() {
	if !w.grown(growth) {
		return
	}
	w.mu.Lock()
	busy := w.anew.running
	w.anew.running = true
	w.mu.Unlock()
	if !busy {
		w.anew.wait.Go(func() { _ = w.writeAnew() }) // or the file goes on as it is
	}
}

// rest ends what runs, and writes a file that is about to be closed anew.
func (w *Writer) rest() {
	w.anew.wait.Wait()
	w.Sync() // the error is told by the next one
	if w.grown(littleGrowth) {
		_ = w.writeAnew() // or the file stays as it is
	}
}

// grown reports whether the file has grown by enough to be written anew.
func (w *Writer) grown(enough int64) bool {
	w.disk.Lock()
	size := w.size
	w.disk.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &w.anew
	return a.allowed && a.recording && w.err == nil && size-a.base > enough+a.base/4
}

// writeAnew writes the session into a new file and puts that in the place of the
// one that is written now.
func (w *Writer) writeAnew() error {
	copied := w.takeCopy()
	f, err := w.beside()
	if err == nil {
		if err = copied.writeTo(f); err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = w.trade(f)
		}
		if err != nil {
			err = errors.Join(err, drop(f))
		}
	}
	w.disk.Lock()
	size := w.size
	w.disk.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.anew.running, w.anew.copied, w.anew.tail, w.anew.long = false, false, nil, false
	w.anew.base = size // if it failed: not again before it has grown by as much
	return err
}

// drop closes a file that did not become the session's, and removes it.
func drop(f *os.File) error {
	st, err := f.Stat()
	if err == nil {
		if there, e := os.Lstat(f.Name()); e == nil && os.SameFile(st, there) {
			err = os.Remove(f.Name())
		}
	}
	return errors.Join(err, f.Close())
}

// takeCopy copies the session. From then on see keeps what is queued: the copy
// and that are the whole.
func (w *Writer) takeCopy() whole {
	s := w.anew.session
	s.mu.RLock()
	defer s.mu.RUnlock()
	w.mu.Lock()
	w.queueEpochs()
	w.anew.copied = true
	w.mu.Unlock()
	return s.copy()
}

// beside makes the second file, with the owner and the mode of the first.
func (w *Writer) beside() (*os.File, error) {
	path, mine, err := w.place()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(aside(path), os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	err = lock(f)
	if err == nil {
		err = f.Chown(int(mine.Uid), int(mine.Gid))
	}
	if err == nil {
		err = f.Chmod(os.FileMode(mine.Mode).Perm())
	}
	if err != nil {
		return nil, errors.Join(err, drop(f))
	}
	return f, nil
}

// aside is where the second file of the one at path lies. One process at a time
// writes that, so there is one at most.
func aside(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".anew")
}

// clearAside removes a second file that was left by a writer that was killed.
// Whatever else has its name stays. Call it with the lock on the file at path held.
func clearAside(path string) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return
	}
	f, err := openRegular(aside(path), os.O_RDONLY|unix.O_NOFOLLOW)
	if err != nil {
		return
	}
	defer f.Close()
	head := make([]byte, len(magic))
	if n, _ := f.ReadAt(head, 0); lock(f) == nil && (n == 0 || string(head[:n]) == magic) {
		_ = os.Remove(f.Name()) // or the file is not written anew
	}
}

// place returns where the file lies, links followed, and what is known of it. It
// is errAside when it is not there, or not only there.
func (w *Writer) place() (string, unix.Stat_t, error) {
	var mine, there unix.Stat_t
	f, ok := w.f.(*os.File)
	if !ok {
		return "", mine, errAside
	}
	path, err := filepath.EvalSymlinks(w.path)
	if err == nil {
		err = errors.Join(unix.Fstat(int(f.Fd()), &mine), unix.Lstat(path, &there))
	}
	if err != nil {
		return "", mine, fmt.Errorf("%w: %w", errAside, err)
	}
	if mine.Dev != there.Dev || mine.Ino != there.Ino || mine.Nlink != 1 {
		return "", mine, errAside
	}
	return path, mine, nil
}

// trade puts f, and what was queued since the copy, in the place of the file.
// From then on f is written.
func (w *Writer) trade(f *os.File) error {
	w.disk.Lock()
	defer w.disk.Unlock()
	w.mu.Lock()
	tail, long := w.anew.tail, w.anew.long
	w.mu.Unlock()
	if long {
		return errAside
	}
	if _, err := f.Write(tail); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	path, mine, err := w.place()
	if err == nil {
		err = exchange(f.Name(), path, mine)
	}
	if err != nil {
		return err
	}
	// The old file has no name any more: an error with it, or with the folder,
	// changes nothing.
	_, _ = w.f.Close(), syncDir(filepath.Dir(path))
	w.f, w.size, w.dirty = f, st.Size(), true
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append([]byte(nil), w.anew.tail[len(tail):]...)
	return nil
}

// exchange lets the files at from and at to trade places, and removes the one
// that was at to, if it is the one that is meant. Any other gets its place back.
func exchange(from, to string, meant unix.Stat_t) error {
	swap := func() error {
		return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	}
	if err := swap(); err != nil {
		return fmt.Errorf("%w: %w", errAside, err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil || st.Dev != meant.Dev || st.Ino != meant.Ino {
		return errors.Join(errAside, err, swap())
	}
	_ = os.Remove(from) // what is left of it harms nobody
	return nil
}
