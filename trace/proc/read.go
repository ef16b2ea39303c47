package proc

import (
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

// How much is read of a file whose size the target has a hand in. What is cut
// off is never what a decision rests on: see each use.
const (
	smallFile = 64 << 10
	maxStatus = 2 << 20  // 65,536 supplementary groups take 700 KiB, before the lines that matter
	maxTable  = 32 << 20 // socket tables, epoll sets, memory maps
)

// readSome reads at most limit bytes of a file.
func readSome(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// numbers lists the entries of a directory that are numbers, at most limit.
func numbers(dir string, limit int) []int {
	var out []int
	eachNumber(dir, func(n int) bool {
		out = append(out, n)
		return len(out) < limit
	})
	return out
}

// eachNumber calls f for each entry of a directory that is a number, until f
// returns false. It holds a piece of a large directory at a time.
func eachNumber(dir string, f func(int) bool) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if n, err := strconv.Atoi(name); err == nil && n >= 0 && !f(n) {
				return nil
			}
		}
		switch {
		case err == io.EOF || err == nil && len(names) == 0:
			return nil
		case err != nil:
			return err
		}
	}
}

// patience bounds the questions that a hostile process can leave unanswered:
// what reads its memory (its arguments, its poll sets) waits for its page
// faults, and it may serve those itself (userfaultfd, FUSE) and never do so.
type patience struct {
	mu    sync.Mutex
	stuck map[int]bool
}

var patient = patience{stuck: map[int]bool{}}

const (
	maxPatience = 250 * time.Millisecond
	maxStuck    = 32 // each costs an OS thread until its process ends
)

// ask runs a question to pid, and reports whether it was answered in time. While
// one is unanswered, no other is put to that process.
func (p *patience) ask(pid int, question func()) bool {
	p.mu.Lock()
	if p.stuck[pid] || len(p.stuck) >= maxStuck {
		p.mu.Unlock()
		return false
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		question()
		close(done)
	}()
	t := time.NewTimer(maxPatience)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
	}
	p.mu.Lock()
	p.stuck[pid] = true
	p.mu.Unlock()
	go func() {
		<-done
		p.mu.Lock()
		delete(p.stuck, pid)
		p.mu.Unlock()
	}()
	return false
}

// readPatiently is readSome for a file that pid can keep from being read.
func readPatiently(pid int, path string, limit int64) (b []byte, err error) {
	var got []byte
	var failed error
	if !patient.ask(pid, func() { got, failed = readSome(path, limit) }) {
		return nil, os.ErrDeadlineExceeded
	}
	return got, failed
}
