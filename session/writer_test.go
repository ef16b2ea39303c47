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
	mu   sync.Mutex
	data []byte
	room int
	stay bool // cannot be truncated
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

func (f *fullDisk) Sync() error  { return nil }
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
