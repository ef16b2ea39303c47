package session

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullDisk is a file that takes room more bytes, then only the first part of
// what it is given, as a full disk does.
type fullDisk struct {
	mu    sync.Mutex
	data  []byte
	room  int
	stay  bool // cannot be truncated
	fails int  // how many more fsyncs fail
}

func (f *fullDisk) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(b), f.room)
	f.data, f.room = append(f.data, b[:n]...), f.room-n
	if n < len(b) {
		return n, unix.ENOSPC
	}
	return n, nil
}

func (f *fullDisk) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stay {
		return unix.EPERM
	}
	f.room += len(f.data) - int(size)
	f.data = f.data[:size]
	return nil
}

func (f *fullDisk) give(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room += n
}

func (f *fullDisk) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails > 0 {
		f.fails--
		return unix.EIO
	}
	return nil
}

func (f *fullDisk) Close() error { return nil }

func (f *fullDisk) open(t *testing.T) (*Session, Damage) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	path := tempPath(t)
	if err := os.WriteFile(path, append([]byte(magic), f.data...), 0o600); err != nil {
		t.Fatal(err)
	}
	s, damage, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, damage
}

func TestFullDiskLosesNothingOnceThereIsRoom(t *testing.T) {
	want, epochs := fullSession(t, 200)
	for name, stay := range map[string]bool{"cut": false, "torn": true} {
		t.Run(name, func(t *testing.T) {
			disk := &fullDisk{room: 3000, stay: stay}
			w := newWriter("disk", disk, 0)
			s := New(want.Meta())
			s.Attach(w)
			for i, e := range epochs {
				if err := s.AddEpoch(e); err != nil {
					t.Fatal(err)
				}
				if i%20 == 0 {
					w.Sync()
				}
			}
			fillRest(s)
			if err := w.Sync(); !errors.Is(err, unix.ENOSPC) || !errors.Is(w.Err(), unix.ENOSPC) {
				t.Fatal(err, w.Err())
			}
			compareEpochs(t, s, epochs) // memory goes on
			got, _ := disk.open(t)      // and what was written is good
			if got.Length() == 0 {
				t.Error("nothing was written before the disk was full")
			}
			disk.give(1 << 20)
			if err := errors.Join(w.Sync(), w.Err(), w.Close()); err != nil {
				t.Fatal(err)
			}
			got, damage := disk.open(t)
			if damage.BadFrames > 0 || damage.Unclosed || damage.Any() != stay {
				t.Error(damage)
			}
			compareRest(t, got, want)
			compareEpochs(t, got, epochs)
		})
	}
}

func TestCloseOnAFullDiskSaysSo(t *testing.T) {
	disk := &fullDisk{room: 500}
	w := newWriter("disk", disk, 0)
	s, _ := fullSession(t, 50)
	s.Attach(w)
	if err := w.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("close says %v", err)
	}
	s.AddMark(Mark{Kind: MarkUser}) // must not write any more
	if w.Sync(); len(disk.data) > 500 {
		t.Error("wrote after close")
	}
}

// What a file holds that the disk did not take whole is said with its name, once.
func TestCloseSaysWhatTheFileHolds(t *testing.T) {
	disk := &fullDisk{room: 1000}
	w := newWriter("disk", disk, 0)
	s := New(Meta{})
	s.Attach(w)
	add := func(n int) {
		t.Helper()
		for range n {
			if err := s.AddEpoch(Epoch{Start: s.Length(), End: s.Length() + sec}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(3)
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	disk.give(len(disk.data) - 1000)
	add(4)
	if err := w.Close(); err == nil || err.Error() != "disk holds only the first 3.00 s: write session: no space left on device" {
		t.Errorf("close says %v", err)
	}
	if got, _ := disk.open(t); got.Length() != 3*sec {
		t.Errorf("it holds %v", got.Length())
	}
}

func TestWhatIsAddedAfterCloseIsAnError(t *testing.T) {
	for name, add := range map[string]func(*Session){
		"mark":  func(s *Session) { s.AddMark(Mark{Kind: MarkUser}) },
		"epoch": func(s *Session) { _ = s.AddEpoch(Epoch{End: 1}) },
	} {
		w := newWriter("disk", &fullDisk{room: 1 << 20}, 0)
		s := New(Meta{})
		s.Attach(w)
		if err := errors.Join(w.Close(), w.Err()); err != nil {
			t.Fatal(name, err)
		}
		if add(s); !errors.Is(w.Err(), errClosed) {
			t.Errorf("%s after close: %v", name, w.Err())
		}
	}
}

// The kernel tells of a failed fsync once. The next one that succeeds says
// nothing of what the first was about.
func TestFailedSyncIsNotForgotten(t *testing.T) {
	disk := &fullDisk{room: 1 << 20, fails: 1}
	w := newWriter("disk", disk, 0)
	s := New(Meta{})
	s.Attach(w)
	s.AddMark(Mark{Kind: MarkUser})
	if err := w.Sync(); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	s.AddMark(Mark{Kind: MarkUser})
	if err := w.Sync(); !errors.Is(err, unix.EIO) || !errors.Is(w.Err(), unix.EIO) {
		t.Error(err, w.Err())
	}
	if err := w.Close(); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "disk may not be on disk whole") {
		t.Error(err)
	}
}

func TestEndlesslyFullDiskIsBounded(t *testing.T) {
	disk := &fullDisk{}
	w := newWriter("disk", disk, 0)
	s := New(Meta{})
	s.Attach(w)
	big := make([]byte, maxText)
	noise := rand.NewChaCha8([32]byte{1})
	for range 6000 {
		noise.Read(big)
		s.AddTrial(Trial{Kind: "x", Text: string(big)})
	}
	w.mu.Lock()
	pending, dropped := len(w.pending), w.dropped
	w.mu.Unlock()
	if pending > maxPending+8*maxText || dropped == 0 {
		t.Fatalf("%d bytes wait, %d frames dropped", pending, dropped)
	}
	disk.give(1 << 30)
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, _ := disk.open(t)
	said := false
	for _, m := range got.Marks() {
		said = said || m.Kind == MarkGap && strings.Contains(m.Text, "lost")
	}
	if said != (dropped > 0) {
		t.Errorf("%d frames dropped, said: %v", dropped, said)
	}
}

// What is done by hand is handed to the kernel at once, not on the timer.
func TestMarksAreWrittenAtOnce(t *testing.T) {
	path := tempPath(t)
	w, err := Create(path, Meta{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := New(Meta{})
	s.Attach(w)
	s.AddMark(Mark{Kind: MarkUser, Text: "now"})
	deadline := time.Now().Add(flushEvery / 2)
	for {
		got, _, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Marks()) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("not written within half a flush")
		}
		time.Sleep(time.Millisecond)
	}
}
