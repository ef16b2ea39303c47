package proc

import (
	"bufio"
	"encoding/binary"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// sockets are listening sockets: their addresses, by inode. Inode numbers of
// sockets are unique on the host.
type sockets map[uint64]string

// listening lists what listens in the network namespace of a thread.
//
// The tables are those of the namespace, not of the process: one who shares the
// namespace can, by a line break in a unix socket's name, forge a line. It can
// make another look ready to serve; a split it thereby moves is only a proposal.
func listening(t Thread) sockets {
	out := sockets{}
	out.read(t.dir()+"net/unix", out.addUnix)
	out.read(t.dir()+"net/tcp", func(line string) bool { return out.addTCP("tcp", line) })
	out.read(t.dir()+"net/tcp6", func(line string) bool { return out.addTCP("tcp6", line) })
	return out
}

// maxSockets bounds how many listening sockets are kept.
const maxSockets = 65536

// read feeds the lines of a table, after its heading, to add until that returns
// false.
func (s sockets) read(path string, add func(line string) bool) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Scan()
	for size := 0; in.Scan() && size < maxTable && len(s) < maxSockets; size += len(in.Bytes()) {
		if !add(in.Text()) {
			return
		}
	}
}

// at is the address of the listening socket that a descriptor leads to, or "".
func (s sockets) at(to string) string {
	inode, ok := parseSocketLink(to)
	if !ok {
		return ""
	}
	return s[inode]
}

// parseSocketLink reads "socket:[123]".
func parseSocketLink(s string) (inode uint64, ok bool) {
	s, ok = strings.CutPrefix(s, "socket:[")
	if !ok {
		return 0, false
	}
	s, ok = strings.CutSuffix(s, "]")
	inode, err := strconv.ParseUint(s, 10, 64)
	return inode, ok && err == nil
}

// addTCP takes a line of /proc/net/tcp or tcp6. It ends at the first socket that
// does not listen: the kernel lists those that do first (tcp_seq_start), and of
// the others there may be a hundred thousand.
func (s sockets) addTCP(table, line string) bool {
	const listen = "0A"
	f := strings.Fields(line) // sl local remote st tx:rx tr:when retr uid timeout inode …
	if len(f) < 10 {
		return true
	}
	if f[3] != listen {
		return false
	}
	if inode, err := strconv.ParseUint(f[9], 10, 64); err == nil && inode != 0 {
		s[inode] = table + " " + parseAddr(f[1])
	}
	return true
}

// parseAddr reads "0100007F:1F90": the address in words of the machine's byte
// order, the port as a number.
func parseAddr(s string) string {
	host, port, ok := strings.Cut(s, ":")
	p, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || len(host) != 8 && len(host) != 32 {
		return "?"
	}
	var raw []byte
	for ; len(host) > 0; host = host[8:] {
		w, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return "?"
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(w))
	}
	a, ok := netip.AddrFromSlice(raw)
	if !ok {
		return "?"
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)).String()
}

// addUnix takes a line of /proc/net/unix.
func (s sockets) addUnix(line string) bool {
	const acceptCon = 1 << 16 // SO_ACCEPTCON in the flags: only what listens has it
	// num: refs protocol flags type st inode [path]; a path may hold spaces.
	f := strings.Fields(line)
	if len(f) < 7 {
		return true
	}
	flags, err := strconv.ParseUint(f[3], 16, 64)
	inode, err2 := strconv.ParseUint(f[6], 10, 64)
	if err != nil || err2 != nil || flags&acceptCon == 0 || inode == 0 {
		return true
	}
	path := "(unnamed)"
	if len(f) > 7 {
		path = strings.Join(f[7:], " ")
	}
	s[inode] = "unix " + path
	return true
}
