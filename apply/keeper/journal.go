package keeper

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Entry is a line of a hold's journal.
type Entry struct {
	At   time.Time
	Mode Mode
	Why  string // "" when somebody told the keeper to
}

// journal writes down what a keeper did. It outlives the keeper and the target, so
// that one can ask afterwards. Nobody waits for it: it stands behind a queue, and
// what does not fit that is left out.
type journal struct {
	queue chan Entry
	stop  chan struct{}
	done  chan struct{}
}

// Bounds of a journal.
const (
	maxEntries  = 10_000
	journalDays = 7 // it is cleared away this long after its hold
)

func journalPath(dir, name string) string { return filepath.Join(dir, name+".log") }

func newJournal() *journal {
	return &journal{queue: make(chan Entry, 64), stop: make(chan struct{}), done: make(chan struct{})}
}

// begin writes what was noted, and what will be, into a new file.
func (j *journal) begin(path string) { go j.write(path) }

func (j *journal) note(m Mode, why string) {
	select {
	case j.queue <- Entry{time.Now(), m, why}:
	default:
	}
}

// close waits until what is queued is written, for a moment.
func (j *journal) close() {
	close(j.stop)
	select {
	case <-j.done:
	case <-time.After(time.Second):
	}
}

func (j *journal) write(path string) {
	defer close(j.done)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return // it goes on without
	}
	defer f.Close()
	enc := json.NewEncoder(f)
	stopped := false
	for n := 0; n < maxEntries; n++ {
		var e Entry
		select {
		case e = <-j.queue:
		default:
			if stopped {
				return
			}
			select {
			case e = <-j.queue:
			case <-j.stop:
				stopped = true
				continue
			}
		}
		_ = enc.Encode(e)
	}
}

// Journal reads what the keeper of a hold did, also of one that has ended.
func Journal(dir, name string) ([]Entry, error) {
	if _, err := FileName(name); err != nil {
		return nil, err
	}
	f, err := os.Open(journalPath(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("hold %s has left no journal", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	var out []Entry
	sc := bufio.NewScanner(f)
	for sc.Scan() && len(out) < maxEntries {
		var e Entry
		if json.Unmarshal(sc.Bytes(), &e) == nil { // the last one may be cut
			out = append(out, e)
		}
	}
	return out, sc.Err()
}

// clearJournal removes the journal of a hold that is long over.
func clearJournal(dir string, file fs.DirEntry) {
	name, ok := strings.CutSuffix(file.Name(), ".log")
	if !ok {
		return
	}
	info, err := file.Info()
	if err != nil || time.Since(info.ModTime()) < journalDays*24*time.Hour {
		return
	}
	if _, err := os.Stat(recordPath(dir, name)); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(journalPath(dir, name))
	}
}
