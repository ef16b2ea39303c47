package proc

import "speaker/trace"

// Wait is a thread that sleeps in a call which a connection to a listening
// socket of its process would end: it is ready to serve.
type Wait struct {
	Pid, Tid int
	Comm     string
	ABI      trace.ABI
	Nr       uint32 // the call
	Addr     string // "tcp 0.0.0.0:80", "unix /run/x.sock": hostile bytes; of several, the first by name
}

// ListenWaits finds the threads of pids that wait on a listening inet or unix
// stream socket: in accept, or in epoll (also nested one level), poll or select
// for it to be readable. See Supported for processes of others. A thread
// whose wait a stop has interrupted (restart_syscall) is not found, nor a socket
// that was made in another network namespace than the thread is in.
func ListenWaits(pids []int) []Wait {
	var out []Wait
	for _, pid := range pids {
		l := look{epolls: map[int]string{}}
		for _, t := range Threads([]int{pid}) {
			if addr := l.waitsFor(t); addr != "" {
				out = append(out, Wait{Pid: pid, Tid: t.Tid, Comm: t.Comm, ABI: t.ABI, Nr: uint32(t.Nr), Addr: addr})
			}
		}
	}
	return out
}

type waitKind uint8

const (
	noWait waitKind = iota
	acceptWait
	epollWait
	pollWait
	selectWait
	socketcallWait // i386: accept, through an argument block
	oldSelectWait  // i386: select, through an argument block
)

// waitKinds names the calls in which a server sleeps. Numbers from the kernel's
// syscall_64.tbl, syscall_32.tbl and asm-generic/unistd.h.
var waitKinds = map[trace.ABI]map[int32]waitKind{
	trace.X86_64: {43: acceptWait, 288: acceptWait, 232: epollWait, 281: epollWait, 441: epollWait,
		7: pollWait, 271: pollWait, 23: selectWait, 270: selectWait},
	trace.X32: {43: acceptWait, 288: acceptWait, 232: epollWait, 281: epollWait, 441: epollWait,
		7: pollWait, 271: pollWait, 23: selectWait, 270: selectWait},
	trace.I386: {364: acceptWait, 102: socketcallWait, 256: epollWait, 319: epollWait, 441: epollWait,
		168: pollWait, 309: pollWait, 414: pollWait, 142: selectWait, 308: selectWait, 413: selectWait, 82: oldSelectWait},
	trace.ARM64: {202: acceptWait, 242: acceptWait, 22: epollWait, 441: epollWait, 73: pollWait, 72: selectWait},
}

// look is one look at the threads of one process. What is expensive is asked
// once, and only when some thread may be waiting.
type look struct {
	listening sockets        // nil: not asked yet
	epolls    map[int]string // what was found in an epoll set, by descriptor
}

// waitsFor is the address of the listening socket that t waits for, or "".
func (l *look) waitsFor(t Thread) string {
	kind := waitKinds[t.ABI][t.Nr]
	if t.Nr < 0 || kind == noWait {
		return ""
	}
	if l.listening == nil {
		l.listening = listening(t)
	}
	if len(l.listening) == 0 {
		return ""
	}
	if kind == epollWait {
		fd := int(int32(t.Args[0]))
		if _, known := l.epolls[fd]; !known {
			l.epolls[fd] = l.inEpoll(t, fd, 1)
		}
		return l.epolls[fd]
	}
	addr := ""
	for _, fd := range waitedOn(t, kind) {
		addr = first(addr, l.listening.at(t.leadsTo(fd)))
	}
	return addr
}

// first chooses among addresses, so that one who waits on several is always told
// with the same: a set has no order of its own.
func first(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}
