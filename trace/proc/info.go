package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"speaker/trace"
)

// Info is what /proc tells of one process. Comm, Exe and Cmdline are hostile
// bytes.
type Info struct {
	Pid, PPid  int // in the host's pid namespace
	NSPid      int // in its own
	Uid, Gid   int // effective
	Tracer     int // the process that traces it; 0: none
	Threads    int
	Seccomp    int // 0 none, 1 strict, 2 filters
	Filters    int // how many (Linux 5.9; 0 before)
	State      byte
	Kernel     bool // a thread of the kernel's own: it makes no calls
	Comm, Exe  string
	Cmdline    []string // at most 64 KiB; none if the process keeps it from being read
	NoNewPrivs bool
	Compat32   bool // its program is a 32-bit one
	CapEff     uint64
}

// ErrThread is the error of Read for the id of a thread that is not a process.
var ErrThread = errors.New("it is a thread, not a process")

// Read reads one process. It wraps fs.ErrNotExist when there is none. Exe,
// Cmdline and Compat32 need CAP_SYS_PTRACE for processes of others.
func Read(pid int) (Info, error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	b, err := readSome(dir+"status", maxStatus)
	if err != nil {
		return Info{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	i, leader := parseStatus(string(b))
	if i.Pid != pid || leader != pid {
		return Info{}, fmt.Errorf("read process %d: %w", pid, ErrThread)
	}
	if b, err := readSome(dir+"stat", smallFile); err == nil {
		if s, err := parseStat(b); err == nil {
			i.Comm, i.Kernel = s.comm, s.flags&flagKernelThread != 0
		}
	}
	i.Exe, _ = os.Readlink(dir + "exe")
	if b, err := readPatiently(pid, dir+"cmdline", smallFile); err == nil && len(b) > 0 {
		i.Cmdline = strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
	}
	i.Compat32 = abiOf(pid) == trace.I386
	return i, nil
}

// parseStatus reads /proc/PID/status, and the pid of the process whose thread it
// is. What is malformed stays zero. The kernel escapes line breaks in Name, so
// no name can pose as another line.
func parseStatus(s string) (i Info, leader int) {
	for line := range strings.Lines(s) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimSpace(value)
		f := strings.Fields(value)
		if len(f) == 0 || key == "Groups" {
			continue
		}
		first, _ := strconv.Atoi(f[0])
		switch key {
		case "Name":
			i.Comm = value
		case "State":
			i.State = f[0][0]
		case "Tgid":
			leader = first
		case "Pid":
			i.Pid = first
		case "PPid":
			i.PPid = first
		case "TracerPid":
			i.Tracer = first
		case "Uid":
			i.Uid = second(f)
		case "Gid":
			i.Gid = second(f)
		case "NSpid":
			i.NSPid, _ = strconv.Atoi(f[len(f)-1])
		case "Threads":
			i.Threads = first
		case "CapEff":
			i.CapEff, _ = strconv.ParseUint(f[0], 16, 64)
		case "NoNewPrivs":
			i.NoNewPrivs = first == 1
		case "Seccomp":
			i.Seccomp = first
		case "Seccomp_filters":
			i.Filters = first
		}
	}
	return i, leader
}

// second is the effective id of "real effective saved fs".
func second(f []string) int {
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(f[1])
	return n
}
