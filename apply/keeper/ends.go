package keeper

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// ends hears how processes end, by the kernel's process events (linux/cn_proc.h),
// which tell of all of this host. Before Linux 6.15 nothing else tells of one that
// its parent has waited for. It wants CAP_NET_ADMIN, and the network and pid
// namespaces of the host.
type ends struct {
	fd  int
	how map[int]unix.WaitStatus
}

const (
	connectorProc = 1 // CN_IDX_PROC and CN_VAL_PROC
	listenEnds    = 1 // PROC_CN_MCAST_LISTEN
	ignoreEnds    = 2
	processExit   = 0x80000000 // PROC_EVENT_EXIT

	// Where an event lies in its message: after its netlink header of 16 bytes and
	// the connector's of 20. What ended lies 16 bytes further.
	endEvent = 36
	endSize  = endEvent + 16 + 12
	// endsRoom is the memory for events that were not looked at, in bytes. Half a
	// thousand fill what a socket has by itself.
	endsRoom = 4 << 20
	// endIsLate is how much later than its pidfd an end may be told.
	endIsLate = 20 * time.Millisecond
)

// hearEnds begins to hear, where that is needed. It is nil where it is not, or
// cannot be; a nil one knows nothing. The caller closes it.
func hearEnds() *ends {
	if remembers() {
		return nil
	}
	return hearEvents()
}

func hearEvents() *ends {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_CONNECTOR)
	if err != nil {
		return nil
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, endsRoom)
	e := &ends{fd, map[int]unix.WaitStatus{}}
	if unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: connectorProc}) != nil || e.ask(listenEnds) != nil {
		unix.Close(fd)
		return nil
	}
	return e
}

// remembers reports whether the kernel tells how a process ended by its pidfd.
func remembers() bool {
	var u unix.Utsname
	var major, minor int
	if unix.Uname(&u) != nil {
		return false
	}
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 6 || major == 6 && minor >= 15)
}

// ask tells the kernel to begin, or to end.
func (e *ends) ask(op uint32) error {
	b := binary.NativeEndian.AppendUint32(nil, endEvent+4)
	b = binary.NativeEndian.AppendUint16(b, unix.NLMSG_DONE)
	b = append(b, make([]byte, 10)...)
	b = binary.NativeEndian.AppendUint32(b, connectorProc)
	b = binary.NativeEndian.AppendUint32(b, connectorProc)
	b = append(b, make([]byte, 8)...)
	b = binary.NativeEndian.AppendUint16(b, 4)
	b = append(b, 0, 0)
	return unix.Sendto(e.fd, binary.NativeEndian.AppendUint32(b, op), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

func (e *ends) close() {
	if e != nil {
		_ = e.ask(ignoreEnds) // the kernel counts who wants to hear
		unix.Close(e.fd)
	}
}

// take reads what was told, and keeps what is of processes that are watched.
func (e *ends) take(watched func(pid int) bool) {
	if e == nil {
		return
	}
	var b [256]byte
	for {
		n, from, err := unix.Recvfrom(e.fd, b[:], 0)
		if err == unix.EINTR || err == unix.ENOBUFS { // the latter: some were lost
			continue
		}
		if err != nil {
			return
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 { // not from the kernel
			continue
		}
		if pid, s, ok := endOf(b[:n]); ok && watched(pid) {
			e.how[pid] = s
		}
	}
}

// endOf reads an event: of each thread that ends, how its process does. The last
// one's is what counts.
func endOf(b []byte) (pid int, s unix.WaitStatus, ok bool) {
	if len(b) < endSize || binary.NativeEndian.Uint32(b[16:]) != connectorProc || binary.NativeEndian.Uint32(b[endEvent:]) != processExit {
		return 0, 0, false
	}
	x := b[endEvent+16:] // the thread, its process, its code
	return int(binary.NativeEndian.Uint32(x[4:])), unix.WaitStatus(binary.NativeEndian.Uint32(x[8:])), true
}

// of is how a process that is known to have ended did, which may be told a little
// later.
func (e *ends) of(pid int, watched func(pid int) bool) (s unix.WaitStatus, known bool) {
	if e == nil {
		return 0, false
	}
	for end := time.Now().Add(endIsLate); ; {
		e.take(watched)
		if s, known = e.how[pid]; known {
			delete(e.how, pid)
			return s, true
		}
		left := time.Until(end)
		if left <= 0 {
			return 0, false
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
	}
}
