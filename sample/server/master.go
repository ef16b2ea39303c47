package server

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// master is the first process: it owns the listening socket, the generations
// and the workers. Its main goroutine alone starts workers.
type master struct {
	Config
	path     string // of the configuration
	signals  chan os.Signal
	children children
	listener int
	ended    chan *handle // workers that are gone

	mu      sync.Mutex // a reload at a time; guards what follows
	gen     int
	cache   []byte
	workers []*handle // nil in a slot whose worker could not be replaced yet
	opened  bool      // the workers accept
}

// handle is the master's side of a worker.
type handle struct {
	slot, pid int
	admin     int // the worker asks, the master answers
	control   int // the master commands, the worker answers
}

func runMaster(path string) error {
	runtime.LockOSThread() // what prctl sets holds for the thread that forks
	m := &master{path: path, gen: 1, signals: make(chan os.Signal, 4), ended: make(chan *handle, 16)}
	signal.Notify(m.signals, unix.SIGHUP, unix.SIGTERM, unix.SIGINT)
	signal.Ignore(unix.SIGPIPE)
	go m.children.reapAlways()
	steady(16)
	var err error
	if m.Config, err = readConfig(path); err != nil {
		return err
	}
	ready := m.endWhileBooting()
	if err := boot(m.stages(), m.Pace); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	ready()
	if err := m.open(); err != nil {
		return err
	}
	logf("serving on %s", m.Listen)
	return m.serve()
}

// endWhileBooting ends the process for a signal that comes before it is ready:
// nothing is served yet, so there is nothing to wait for.
func (m *master) endWhileBooting() (ready func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case s := <-m.signals:
				if s != unix.SIGHUP {
					logf("stopped while booting")
					os.Exit(0)
				}
			}
		}
	}()
	return func() { close(quit); <-done }
}

// stages are the steps of the boot, in the order that privileges allow.
func (m *master) stages() []stage {
	return []stage{
		{"config", m.checkLimits},
		{"state", m.makeState},
		{"cache", m.fillCache},
		{"helper", m.firstManifest},
		{"socket", m.listen},
		{"privileges", m.dropPrivileges},
		{"workers", m.startWorkers},
	}
}

func (m *master) checkLimits() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", tried("uname", "host", err)
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return "", tried("prlimit64", "open files", err)
	}
	if need := uint64(64 + 8*m.Workers*m.Threads); lim.Cur < need {
		return "", fmt.Errorf("%d open files allowed, %d needed", lim.Cur, need)
	}
	unix.Umask(0o022)
	return fmt.Sprintf("%s read, host %s", m.path, unix.ByteSliceToString(name.Nodename[:])), nil
}

func (m *master) makeState() (string, error) {
	for _, dir := range []string{m.State, m.Run} {
		if err := unix.Mkdirat(unix.AT_FDCWD, dir, 0o750); err != nil && err != unix.EEXIST {
			return "", tried("mkdirat", dir, err)
		}
		if err := unix.Fchmodat(unix.AT_FDCWD, dir, 0o755, 0); err != nil {
			return "", tried("fchmodat", dir, err)
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(m.State, &fs); err != nil {
		return "", tried("statfs", m.State, err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	if need := int64(2 * m.Pages * pageSize); free < need {
		return "", fmt.Errorf("%d bytes free, %d needed", free, need)
	}
	pid := filepath.Join(m.Run, "pid")
	if err := os.WriteFile(pid, strconv.AppendInt(nil, int64(os.Getpid()), 10), 0o644); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s and %s made, %d MiB free", m.State, m.Run, free>>20), nil
}

func (m *master) fillCache() (string, error) {
	dir := m.dir(m.gen)
	if err := m.makeDir(m.gen); err != nil {
		return "", err
	}
	if err := writeCache(dir, m.gen, m.Pages); err != nil {
		return "", err
	}
	var err error
	m.cache, err = mapCache(dir)
	return fmt.Sprintf("%d pages written and mapped", m.Pages), err
}

func (m *master) firstManifest() (string, error) {
	if err := m.manifest(m.gen); err != nil {
		return "", err
	}
	return "manifest written by " + filepath.Base(m.Helper), m.publish(m.gen)
}

// manifest has the helper program write a generation's manifest.
func (m *master) manifest(gen int) error {
	return m.children.run(m.Helper, filepath.Base(m.Helper), HelpWord, m.WWW, m.dir(gen))
}

func (m *master) listen() (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", tried("socket", "inet", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return "", tried("setsockopt", "SO_REUSEADDR", err)
	}
	addr := &unix.SockaddrInet4{Port: int(m.Listen.Port()), Addr: m.Listen.Addr().As4()}
	if err := unix.Bind(fd, addr); err != nil {
		return "", tried("bind", m.Listen.String(), err)
	}
	if err := unix.Listen(fd, 128); err != nil {
		return "", tried("listen", m.Listen.String(), err)
	}
	m.listener = fd
	return "listening on " + m.Listen.String(), nil
}

// dropPrivileges gives the state to the server's user and becomes that user,
// for good: the port is bound, and nothing later needs root.
func (m *master) dropPrivileges() (string, error) {
	if os.Geteuid() != 0 || m.UID == 0 {
		return "nothing to drop", nil
	}
	own := []string{m.State, m.Run, m.dir(m.gen), filepath.Join(m.dir(m.gen), cacheFile), filepath.Join(m.dir(m.gen), manifestFile)}
	for _, path := range own {
		if err := unix.Fchownat(unix.AT_FDCWD, path, m.UID, m.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return "", tried("fchownat", path, err)
		}
	}
	for c := range uintptr(64) {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL {
			return "", tried("prctl", "capability bounding set", err)
		}
	}
	if err := syscall.Setgroups([]int{m.GID}); err != nil {
		return "", tried("setgroups", "groups", err)
	}
	if err := syscall.Setresgid(m.GID, m.GID, m.GID); err != nil {
		return "", tried("setresgid", "group", err)
	}
	if err := syscall.Setresuid(m.UID, m.UID, m.UID); err != nil {
		return "", tried("setresuid", "user", err)
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		return "", tried("capget", "self", err)
	}
	if caps[0].Permitted|caps[1].Permitted != 0 {
		return "", fmt.Errorf("still holds capabilities after becoming user %d", m.UID)
	}
	return fmt.Sprintf("now user %d, no capability left", m.UID), nil
}
