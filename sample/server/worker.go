package server

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The descriptors that a worker is started with, after output.
const (
	listenerFD = 3
	adminFD    = 4
	controlFD  = 5
)

// worker is a process that accepts and answers. While it serves it allocates
// nothing (see steady.go), so it speaks to the kernel in buffers of its own.
type worker struct {
	slot   int
	www    int // directory of the documents
	board  int // its file of counts
	cfg    Config
	served atomic.Uint64
	active atomic.Int64
	admin  sync.Mutex // one administrative request at a time

	mu    sync.RWMutex // guards cache and gen
	cache []byte
	gen   []byte
}

func runWorker(slot, config, dir string) (err error) {
	runtime.LockOSThread()
	for fd := listenerFD; fd <= controlFD; fd++ {
		unix.CloseOnExec(fd)
	}
	w := &worker{}
	if w.slot, err = strconv.Atoi(slot); err != nil {
		return fmt.Errorf("read worker's number: %w", err)
	}
	if w.cfg, err = readConfig(config); err != nil {
		return err
	}
	if err := w.prepare(dir); err != nil {
		return fmt.Errorf("worker %d: %w", w.slot, err)
	}
	return w.obey()
}

// prepare is the boot of a worker.
func (w *worker) prepare(dir string) (err error) {
	var name [16]byte
	copy(name[:15], "demo-worker")
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0); err != nil {
		return tried("prctl", "PR_SET_NAME", err)
	}
	if w.www, err = unix.Open(w.cfg.WWW, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return tried("openat", w.cfg.WWW, err)
	}
	board := filepath.Join(w.cfg.Run, "worker."+strconv.Itoa(w.slot))
	if w.board, err = unix.Open(board, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644); err != nil {
		return tried("openat", board, err)
	}
	if err := w.change(dir); err != nil {
		return err
	}
	steady(w.cfg.Threads + 12)
	return nil
}

func (w *worker) startThreads() {
	for range w.cfg.Threads {
		go w.accept()
	}
	go w.keepBoard()
}

// obey tells the master that it is ready, and does what the master commands,
// until it is told to stop or the master is gone.
func (w *worker) obey() error {
	said := "ready"
	var buf [512]byte
	for {
		if _, err := unix.Write(controlFD, []byte(said)); err != nil {
			return tried("write", "answer to master", err)
		}
		n, err := unix.Read(controlFD, buf[:])
		for err == unix.EINTR {
			n, err = unix.Read(controlFD, buf[:])
		}
		if err != nil {
			return tried("read", "master's command", err)
		}
		command := string(buf[:n])
		switch dir, isMap := strings.CutPrefix(command, "map "); {
		case n == 0:
			return nil
		case isMap:
			said = "ok"
			if err := w.change(dir); err != nil {
				said = err.Error()
			}
		case command == "serve":
			w.startThreads()
			said = "ok"
		case command == "stop":
			w.drain()
			unix.Write(controlFD, []byte("ok"))
			return nil
		default:
			said = "unknown command"
		}
	}
}

// change maps another generation's cache, then lets go of the one before.
func (w *worker) change(dir string) error {
	cache, err := mapCache(dir)
	if err != nil {
		return err
	}
	w.mu.Lock()
	old := w.cache
	w.cache, w.gen = cache, []byte(strings.TrimPrefix(filepath.Base(dir), "gen-"))
	w.mu.Unlock()
	if old == nil {
		return nil
	}
	if err := unix.Munmap(old); err != nil {
		fmt.Fprintf(os.Stdout, "demo: worker %d: clean up: %v\n", w.slot, tried("munmap", "the old cache", err))
	}
	return nil
}

// drain waits until no request is being answered, at most a second.
func (w *worker) drain() {
	for range 200 {
		if w.active.Load() == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// keepBoard writes the worker's counts to its file, twice a second, in place.
// Its timer also keeps the runtime's poller a steady thing.
func (w *worker) keepBoard() {
	var buf [64]byte
	for {
		time.Sleep(500 * time.Millisecond)
		line := strconv.AppendUint(append(buf[:0], "served "...), w.served.Load(), 10)
		unix.Pwrite(w.board, append(line, '\n'), 0)
	}
}
