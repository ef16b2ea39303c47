package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// batch is how many epochs go into one frame when a whole session is written: some
// two seconds', for that is what a damaged byte costs, and an hour's file is hardly
// larger for it.
const batch = 20

// Attach makes the session write everything that is added from now on to w, and
// first what it holds already. Attaching the same Writer again does nothing. The
// caller closes w.
func (s *Session) Attach(w *Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log == w {
		return
	}
	for _, f := range s.frames() {
		w.put(f)
	}
	for r := s.table.reader(); ; {
		e, ok := r.read()
		if !ok {
			break
		}
		w.putEpoch(e)
	}
	s.log, s.table.visits.kept = w, 0
	s.keepVisits()
	w.of(s)
}

// frames returns all but the epochs, as frames. Call it with the lock held.
func (s *Session) frames() []frame {
	out := []frame{metaFrame(s.meta)}
	for _, m := range s.marks {
		out = append(out, markFrame(m))
	}
	if text := s.damage.String(); text != "" { // a copy is whole and would tell nothing of it
		out = append(out, markFrame(Mark{At: s.table.length(), Kind: MarkGap, Text: "copied from a file that lost something: " + text}))
	}
	for _, sp := range s.splits {
		out = append(out, splitFrame(splitAdd, sp))
	}
	for _, sp := range slices.Backward(s.unsplit) {
		out = append(out, splitFrame(splitAdd, sp))
	}
	for i := range s.unsplit {
		out = append(out, splitFrame(splitUndo, s.split(i+1)))
	}
	for _, t := range s.trials {
		out = append(out, trialFrame(t))
	}
	for _, d := range s.edits {
		out = append(out, d.frame(editAdd))
	}
	for _, d := range slices.Backward(s.undone) {
		out = append(out, d.frame(editAdd))
	}
	for _, d := range s.undone {
		out = append(out, d.frame(editUndo))
	}
	for _, r := range s.merged.runs {
		out = append(out, runFrame(r))
	}
	if s.learned != nil {
		out = append(out, learnedFrame(s.learned))
	}
	for part := range slices.Chunk(s.sortedArguments(), maxFrameTable) {
		out = append(out, argumentsFrame(part))
	}
	for part := range slices.Chunk(s.sortedProcesses(), maxFrameTable) {
		out = append(out, processesFrame(part))
	}
	newest := s.samples.since(0)
	kept := slices.DeleteFunc(s.samples.firsts(), func(x Sample) bool { return slices.Contains(newest, x) })
	kept = append(kept, newest...)
	for len(kept) > 0 {
		n := min(len(kept), 256)
		out = append(out, sampleFrame(kept[:n]...))
		kept = kept[n:]
	}
	return out
}

// Save writes the whole session into a new file, readable by its owner alone. It
// never overwrites one: an existing path is an error that is fs.ErrExist. The
// file appears whole or not at all.
func Save(path string, s *Session) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("save session: %w", &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist})
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".speaker-*") // 0600
	if err != nil {
		return fmt.Errorf("save session: %s: %w", path, bare(err))
	}
	err = s.writeTo(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		if !errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%s: %w", path, bare(err))
		}
		return fmt.Errorf("save session: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// writeTo writes the session as it is now.
func (s *Session) writeTo(to io.Writer) error {
	s.mu.RLock()
	c := s.copy()
	s.mu.RUnlock()
	if err := c.writeTo(to); err != nil {
		return err
	}
	_, err := to.Write(appendFrame(nil, newFrame(kindEnd, struct{}{})))
	return err
}

// whole is a session as it was at one time, to be written.
type whole struct {
	frames []frame
	epochs []Epoch
	behind []frame // what counts behind the epochs
}

// copy takes what writeTo writes. Call it with the lock held.
func (s *Session) copy() whole {
	out := whole{frames: s.frames(), epochs: make([]Epoch, 0, len(s.table.starts)), behind: []frame{s.table.visitsFrame(), s.missingFrame()}}
	for r := s.table.reader(); ; {
		e, ok := r.read()
		if !ok {
			return out
		}
		out.epochs = append(out.epochs, e)
	}
}

// writeTo writes a file without its end.
func (x whole) writeTo(to io.Writer) error {
	w := bufio.NewWriterSize(to, 1<<16)
	if _, err := w.WriteString(magic); err != nil {
		return err
	}
	for _, f := range x.frames {
		if _, err := w.Write(appendFrame(nil, f)); err != nil {
			return err
		}
	}
	for e := x.epochs; len(e) > 0; {
		n, rows := 0, 0
		for n < len(e) && n < batch && rows < maxFrameRows/2 {
			rows += rowsOf(e[n])
			n++
		}
		if _, err := w.Write(appendFrame(nil, epochsFrame(e[:n]))); err != nil {
			return err
		}
		e = e[n:]
	}
	for _, f := range x.behind {
		if _, err := w.Write(appendFrame(nil, f)); err != nil {
			return err
		}
	}
	return w.Flush()
}

// rename moves a file to a path that does not exist.
func rename(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EEXIST):
		return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	// Old kernels and some file systems know no RENAME_NOREPLACE; a link does
	// not replace either.
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

// bare is what went wrong without the name of the file that it went wrong with:
// a temporary one, or one that the sentence has already.
func bare(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil // a folder that may be written and not read
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
