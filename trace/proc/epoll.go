package proc

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// maxNested bounds how many sets inside one epoll set are looked into.
const maxNested = 64

// inEpoll looks for a listening socket in an epoll set, and to a depth in the
// sets within it. What the set holds is told by inode: the number under which a
// file was added may have come to mean another since.
func (l *look) inEpoll(t Thread, fd, depth int) string {
	path := fmt.Sprintf("%sfdinfo/%d", t.dir(), fd)
	b, err := readPatiently(t.Pid, path, maxTable) // waits for the set's lock
	if err != nil {
		return ""
	}
	addr, inner := "", []int(nil)
	for line := range strings.Lines(string(b)) {
		e, ok := parseEpollEntry(line)
		if !ok || e.events&readable == 0 {
			continue
		}
		if e.device == socketDevice() {
			addr = first(addr, l.listening[e.inode])
		} else if depth > 0 && len(inner) < maxNested && t.leadsTo(e.fd) == "anon_inode:[eventpoll]" {
			inner = append(inner, e.fd)
		}
	}
	for _, fd := range inner {
		addr = first(addr, l.inEpoll(t, fd, depth-1))
	}
	return addr
}

// readable are the events by which a listening socket tells of a connection.
const readable = unix.POLLIN | pollReadNormal

const pollReadNormal = 0x40 // POLLRDNORM

// epollEntry is one file of an epoll set.
type epollEntry struct {
	fd            int
	events        uint64
	inode, device uint64
}

// parseEpollEntry reads a line of an epoll descriptor's fdinfo:
//
//	tfd:        5 events:       19 data: 7f5f3c000b60  pos:0 ino:61af sdev:7
func parseEpollEntry(line string) (e epollEntry, ok bool) {
	f := strings.Fields(line)
	if len(f) < 8 || f[0] != "tfd:" || f[2] != "events:" {
		return e, false
	}
	var err error
	if e.fd, err = strconv.Atoi(f[1]); err != nil || e.fd < 0 {
		return e, false
	}
	if e.events, err = strconv.ParseUint(f[3], 16, 64); err != nil {
		return e, false
	}
	for _, part := range f[4:] {
		key, value, _ := strings.Cut(part, ":")
		switch key {
		case "ino":
			e.inode, err = strconv.ParseUint(value, 16, 64)
		case "sdev":
			e.device, err = strconv.ParseUint(value, 16, 64)
		}
		if err != nil {
			return e, false
		}
	}
	return e, e.inode != 0
}

// socketDevice is the device number, as fdinfo has it, of the file system that
// all sockets are in: an inode number means something only there.
var socketDevice = sync.OnceValue(func() uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return uint64(unix.Major(st.Dev))<<20 | uint64(unix.Minor(st.Dev))
})
