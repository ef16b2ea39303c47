package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long the master waits for a worker's answer.
const patience = 10 * time.Second

func (m *master) startWorkers() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.workers = make([]*handle, m.Workers)
	for slot := range m.workers {
		if err := m.startWorker(slot); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d workers with %d accepting threads each", m.Workers, m.Threads), nil
}

// open has the workers accept, once all of them are ready: so the first answer
// is also the end of the boot.
func (m *master) open() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.workers {
		if err := h.command("serve"); err != nil {
			return fmt.Errorf("open worker %d: %w", h.slot, err)
		}
	}
	m.opened = true
	return nil
}

// startWorker starts the worker of a slot and waits until it is ready, and
// accepts if the others do. The lock is held.
func (m *master) startWorker(slot int) error {
	h, theirs, err := newHandle(slot)
	if err != nil {
		return err
	}
	argv := []string{filepath.Base(m.Self), ServeWord, "worker", strconv.Itoa(slot), m.path, m.dir(m.gen)}
	// How it ends does not matter; that it did, attend is the first to see.
	h.pid, _, err = m.children.start(m.Self, argv,
		[]uintptr{0, 1, 2, uintptr(m.listener), uintptr(theirs[0]), uintptr(theirs[1])})
	// The worker's ends are closed here at once, or its death would not show.
	unix.Close(theirs[0])
	unix.Close(theirs[1])
	if err == nil {
		err = h.answer("ready")
		if err == nil && m.opened {
			err = h.command("serve")
		}
		if err != nil {
			unix.Kill(h.pid, unix.SIGKILL)
		}
	}
	if err != nil {
		unix.Close(h.admin)
		unix.Close(h.control)
		return fmt.Errorf("start worker %d: %w", slot, err)
	}
	m.workers[slot] = h
	go m.attend(h)
	return nil
}

// newHandle makes the two lines to a worker; theirs are its ends, of admin and
// control.
func newHandle(slot int) (h *handle, theirs [2]int, err error) {
	var pairs [2][2]int
	for i := range pairs {
		pairs[i], err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			for _, made := range pairs[:i] {
				unix.Close(made[0])
				unix.Close(made[1])
			}
			return nil, theirs, tried("socketpair", "worker", err)
		}
	}
	h = &handle{slot: slot, admin: pairs[0][0], control: pairs[1][0]}
	theirs = [2]int{pairs[0][1], pairs[1][1]}
	wait := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(h.control, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		for _, fd := range []int{h.admin, h.control, theirs[0], theirs[1]} {
			unix.Close(fd)
		}
		return nil, theirs, tried("setsockopt", "SO_RCVTIMEO", err)
	}
	return h, theirs, nil
}

// answer reads the worker's next message: nil if it is the one wanted.
func (h *handle) answer(want string) error {
	var buf [512]byte
	n, err := unix.Read(h.control, buf[:])
	for err == unix.EINTR { // with a limit on its time, a read is not restarted
		n, err = unix.Read(h.control, buf[:])
	}
	switch {
	case err != nil:
		return tried("read", "worker's answer", err)
	case n == 0:
		return errGone
	case string(buf[:n]) != want:
		return errors.New(string(buf[:n]))
	}
	return nil
}

var errGone = errors.New("the worker has ended")

// command has a worker do something.
func (h *handle) command(what string) error {
	if _, err := unix.Write(h.control, []byte(what)); err != nil {
		return tried("write", "command to worker", err)
	}
	return h.answer("ok")
}

// attend answers a worker's administrative requests until the worker ends.
func (m *master) attend(h *handle) {
	defer func() {
		unix.Close(h.admin) // by its only user: a number closed early is soon another's
		m.ended <- h
	}()
	var buf [64]byte
	for {
		n, err := unix.Read(h.admin, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		said, err := m.reload()
		if err != nil {
			said = "!" + err.Error()
		}
		unix.Write(h.admin, []byte(said[:min(len(said), 500)]))
	}
}

// replace starts a new worker in the place of one that ended. When it cannot,
// the others serve on, and it tries again.
func (m *master) replace(h *handle) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.workers[h.slot] == h {
		logf("worker %d (pid %d) has ended; starting another", h.slot, h.pid)
		unix.Close(h.control)
		m.workers[h.slot] = nil
	}
	if err := m.startWorker(h.slot); err != nil {
		logf("%v; trying again in 5 s", err)
		time.AfterFunc(5*time.Second, func() { m.ended <- h })
	}
}

// serve handles signals and workers' ends until it is told to stop, and looks
// every second whether the configuration has changed.
func (m *master) serve() error {
	var seen unix.Stat_t
	unix.Fstatat(unix.AT_FDCWD, m.path, &seen, 0)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-second.C:
			var now unix.Stat_t
			if unix.Fstatat(unix.AT_FDCWD, m.path, &now, 0) == nil && now.Mtim != seen.Mtim {
				seen = now
				logf("%s has changed; a reload will read it", m.path)
			}
		case h := <-m.ended:
			m.replace(h)
		case s := <-m.signals:
			if s != unix.SIGHUP {
				return m.stop()
			}
			go m.reload() // it logs its outcome; nobody waits for an answer
		}
	}
}

// stop ends the workers, each after the requests that it is answering. What a
// filter refuses here is told, and leaves nothing running: with its first
// process, the container ends.
func (m *master) stop() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var killed []error
	for _, h := range m.workers {
		if h == nil {
			continue
		}
		if err := h.command("stop"); err != nil && !errors.Is(err, errGone) {
			killed = append(killed, fmt.Errorf("stop worker %d: %w", h.slot, err))
			unix.Kill(h.pid, unix.SIGKILL)
		}
	}
	m.children.reap()
	pid := filepath.Join(m.Run, "pid")
	if err := tried("unlinkat", pid, unix.Unlinkat(unix.AT_FDCWD, pid, 0)); err != nil {
		logf("%v", err)
	}
	logf("stopped")
	return errors.Join(killed...)
}
