package ready

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"speaker/trace/target"
)

func contains(line, text string) bool { return strings.Contains(line, text) }

// logFile listens for a line that is added to a file on this host.
type logFile struct {
	path, text string
	from       int64 // what was there when the probe was named does not count
	inode      uint64
}

// file reads PATH:TEXT.
func (p *Probe) file(s string) error {
	path, text, _ := strings.Cut(s, ":")
	if !filepath.IsAbs(path) || text == "" {
		return errors.New("say logfile:/PATH:TEXT")
	}
	f := &logFile{path: path, text: text}
	p.Name, p.by = fmt.Sprintf("file %q %q", path, text), f
	return nil
}

// File returns the log probe of a target whose output goes to a file. Other probes
// stay as they are.
func (p Probe) File(path string) Probe {
	if l, ok := p.by.(log); ok {
		p.by = &logFile{path: path, text: l.text}
	}
	return p
}

// Begin says that what a file holds by now does not count. Call it before the
// target starts.
func (p Probe) Begin() {
	if f, ok := p.by.(*logFile); ok {
		f.from, f.inode = 0, 0
		if st, err := os.Stat(f.path); err == nil {
			f.from, f.inode = st.Size(), inodeOf(st)
		}
	}
}

func (p *logFile) ask(ctx context.Context, _ Target, tell func(Answer)) error {
	m := &matcher{text: p.text, tell: tell}
	more := true
	lines := &target.Lines{Each: func(line string) bool {
		more = m.line(time.Now(), line)
		return more
	}}
	var last error
	for more {
		if err := p.read(lines); more {
			last = err
		}
		select {
		case <-ctx.Done():
			more = false
		case <-time.After(askFirst):
		}
	}
	if m.told == 0 && last != nil {
		return last
	}
	return m.err()
}

// maxRead is how much of a file is read at a time.
const maxRead = 1 << 20

// read reads what was added to the file. One that became shorter, or another, is
// read from its beginning.
func (p *logFile) read(to io.Writer) error {
	f, err := os.OpenFile(p.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open it: %w", errnoOf(err))
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case st.Size() < p.from, p.inode != 0 && p.inode != inodeOf(st):
		p.from = 0
	}
	p.inode = inodeOf(st)
	n, err := io.Copy(to, io.NewSectionReader(f, p.from, maxRead))
	p.from += n
	return err
}

func inodeOf(st os.FileInfo) uint64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
