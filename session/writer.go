package session

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	flushEvery = time.Second
	// maxFrameRows bounds the rows of one frame of epochs, so that it fits.
	maxFrameRows = 40_000
	// maxPending bounds what waits for a disk that takes nothing.
	maxPending = 16 << 20
)

// file is what a Writer needs of an *os.File.
type file interface {
	io.Writer
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// Writer appends a session to its file as it happens. Attach it to a session;
// from then on every Add goes to the file as well. Marks, edits, splits and
// trials are handed to the kernel at once, epochs within a second, and fsync
// runs every second. When a recording has grown by much that was made coarser
// since, its file is written anew; see anew.
//
// When the disk takes nothing, the error stays in Err, the session goes on in
// memory, and what waits is written as soon as the disk takes it again. The error
// of an fsync stays for good.
type Writer struct {
	path string
	f    file
	wake chan struct{} // something is to be written at once
	quit chan struct{}
	done chan struct{}

	mu      sync.Mutex
	epochs  []Epoch // not yet made into a frame
	rows    int     // of epochs
	length  time.Duration
	pending []byte // whole frames, not yet written
	writing int    // bytes taken out of pending, of which the kernel may yet refuse some
	dropped int    // frames that pending could not take
	err     error  // why the file is not being written
	lasting error  // an fsync that failed: the kernel tells it once, and what it was about may be gone
	added   bool   // there is something that an end must be written for
	closing bool
	closed  bool          // nothing can be added any more
	queued  time.Duration // end of the last epoch that was made into a frame
	saved   time.Duration // end of the last epoch that the kernel took
	anew    anew

	disk  sync.Mutex // held while the file is used, never waited for with mu held
	size  int64      // whole frames written
	dirty bool       // written and not yet synced
}

// Create makes a new session file, readable by its owner alone, and never
// overwrites one: an existing path is an error that is fs.ErrExist. The caller
// attaches the Writer to a session and closes it.
func Create(path string, m Meta) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create session: %w", err)
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	clearAside(path)
	head := appendFrame([]byte(magic), metaFrame(m.clipped()))
	if _, err := f.Write(head); err != nil {
		return nil, errors.Join(fmt.Errorf("create session: %w", err), f.Close(), os.Remove(path))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("create session: %w", err), f.Close(), os.Remove(path))
	}
	w := newWriter(path, f, int64(len(head)))
	w.added = true
	return w, nil
}

// lock makes sure that one process at a time writes a session file.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("lock session: %s is being written by another process", f.Name())
	}
	if err != nil && !errors.Is(err, unix.ENOLCK) && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("lock session: %w", err)
	}
	return nil
}

func newWriter(path string, f file, size int64) *Writer {
	w := &Writer{
		path: path, f: f, size: size, dirty: true,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	w.anew.base = size
	go w.run()
	return w
}

// Path is the file's path, as it was given.
func (w *Writer) Path() string { return w.path }

// Err says why the file is not being written; nil when it is.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// put takes a frame that is to be written at once.
func (w *Writer) put(f frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open() {
		return
	}
	w.queue(f)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// errClosed is why what is added to a session does not reach its file any more.
var errClosed = errors.New("write session: the file is closed")

// open reports whether anything can be added, and keeps the error if not. Call
// it with the lock held.
func (w *Writer) open() bool {
	if w.closed && w.err == nil {
		w.err = errClosed
	}
	w.added = w.added || !w.closed
	return !w.closed
}

// putEpoch takes an epoch, to be written within a second.
func (w *Writer) putEpoch(e Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open() {
		return
	}
	if w.rows+rowsOf(e) > maxFrameRows || len(w.epochs) == maxFrameEpochs {
		w.queueEpochs()
	}
	w.epochs = append(w.epochs, cloneEpoch(e))
	w.anew.recording = true
	w.rows += rowsOf(e)
	w.length = e.End
}

// putBehindEpochs takes a frame that counts only behind all epochs so far.
func (w *Writer) putBehindEpochs(f frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open() {
		w.queueEpochs()
		w.queue(f)
	}
}

func (w *Writer) queueEpochs() {
	if len(w.epochs) == 0 {
		return
	}
	if w.queue(epochsFrame(w.epochs)) {
		w.queued = w.length
	}
	w.epochs, w.rows = w.epochs[:0], 0
}

// queue appends a frame to what is pending, and reports whether there was room.
// Call it with the lock held.
func (w *Writer) queue(f frame) bool {
	if len(w.pending)+w.writing > maxPending {
		w.dropped++
		return false
	}
	n := len(w.pending)
	w.pending = appendFrame(w.pending, f)
	w.anew.see(w.pending[n:])
	return true
}

// run writes what is pending until Close.
func (w *Writer) run() {
	defer close(w.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.wake:
			w.disk.Lock()
			err := w.write()
			w.disk.Unlock()
			w.note(err)
		case <-tick.C:
			w.Sync() // the error is kept for Err
			w.goAnew()
		case <-w.quit:
			return
		}
	}
}

// note keeps the error for Err.
func (w *Writer) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err = err; err == nil {
		w.err = w.lasting
	}
}

// Sync brings all that was added so far to the disk. The error is that of Err.
func (w *Writer) Sync() error {
	w.mu.Lock()
	w.queueEpochs()
	w.mu.Unlock()
	w.disk.Lock()
	err := w.write()
	if err == nil && w.dirty {
		if err = w.f.Sync(); err != nil {
			err = fmt.Errorf("sync session: %w", err)
			w.mu.Lock()
			w.lasting = err
			w.mu.Unlock()
		}
		w.dirty = err != nil
	}
	w.disk.Unlock()
	w.note(err)
	return w.Err()
}

// write hands what is pending to the kernel. What it does not take whole is cut
// off again and stays pending; should the cut fail as well, a reader passes over
// the torn frame. Call it with the disk held.
func (w *Writer) write() error {
	for {
		b, length := w.take()
		if len(b) == 0 {
			return nil
		}
		_, err := w.f.Write(b)
		w.mu.Lock()
		w.writing = 0
		if err != nil {
			w.pending = append(b, w.pending...)
		} else {
			w.saved = max(w.saved, length)
		}
		w.mu.Unlock()
		if err != nil {
			if cut := w.f.Truncate(w.size); cut != nil {
				err = errors.Join(err, cut)
			}
			return fmt.Errorf("write session: %w", err)
		}
		w.size += int64(len(b))
		w.dirty = true
	}
}

// take returns what is to be written, and when that is all, a word on what the
// file lacks; and the end of the last epoch in it.
func (w *Writer) take() ([]byte, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dropped > 0 && len(w.pending) == 0 {
		text := fmt.Sprintf("the disk took nothing for a while: %s lost", count(w.dropped, "frame"))
		w.dropped = 0
		w.queue(markFrame(Mark{At: w.length, Kind: MarkGap, Text: text}))
	}
	b := w.pending
	w.pending, w.writing = nil, len(b)
	return b, w.queued
}

// Close writes what is left, marks the file as closed if anything was added, and
// closes it. What the disk did not take is lost; then the error says how much of
// the recording the file holds. Closing twice does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	closing := w.closing
	w.closing = true
	w.mu.Unlock()
	if closing {
		return nil
	}
	close(w.quit)
	<-w.done
	w.rest()
	var last []frame
	if w.anew.session != nil {
		last = append(last, w.anew.session.statement())
	}
	w.mu.Lock()
	w.queueEpochs()
	if w.added {
		for _, f := range last {
			w.queue(f)
		}
		w.queue(newFrame(kindEnd, struct{}{}))
	}
	w.closed = true
	w.mu.Unlock()
	err := w.Sync()
	if e := w.f.Close(); err == nil && e != nil {
		err = fmt.Errorf("close session: %w", e)
	}
	if err != nil {
		return w.holds(err)
	}
	return nil
}

// holds says what a closed file holds in spite of err.
func (w *Writer) holds(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.pending) == 0:
		return fmt.Errorf("%s may not be on disk whole: %w", w.path, bare(err))
	case w.saved < w.length:
		return fmt.Errorf("%s holds only the first %s: %w", w.path, seconds(w.saved), bare(err))
	}
	return fmt.Errorf("%s lacks what was added last: %w", w.path, bare(err))
}

// cloneEpoch copies e, so that the caller may go on using its slices.
func cloneEpoch(e Epoch) Epoch {
	e.Rows = slices.Clone(e.Rows)
	e.InFlight = slices.Clone(e.InFlight) // keeps nil, which means nobody looked
	return e
}
