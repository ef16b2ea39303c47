package export

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ToFile makes a file of mode 0600 with what write writes. The file appears under
// its name when all of it is on disk, and not at all if anything fails. A file
// that is there already is never overwritten: the error is then fs.ErrExist.
func ToFile(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("write %s: %w", path, os.ErrExist)
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".speaker-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	if err := renameNew(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, bare(err))
	}
	syncDir(dir)
	return nil
}

// bare is what went wrong without the name of the temporary file that it went
// wrong with, which means nothing to anyone.
func bare(err error) error {
	var p *os.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}

// syncDir puts a new name on disk. The file's content is there already, and some
// file systems cannot sync a folder, so that a failure is no error.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// renameNew renames, unless something has the new name already.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	return linkNew(from, to)
}

// linkNew does the same where the file system does not know RENAME_NOREPLACE: a
// hard link refuses a name that is taken just as well.
func linkNew(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}
