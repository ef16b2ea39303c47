package server

import (
	"bytes"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// conn is one accepting thread's room for the connection that it serves.
type conn struct {
	fd    int
	n     int // bytes of the request in in
	in    [2048]byte
	out   [8192]byte
	path  [256]byte
	st    unix.Stat_t
	limit unix.Timeval // longest wait for a slow client
}

// accept takes connections and answers one request on each, for ever. The call
// blocks in accept4 itself: a thread waiting on the listening socket is the
// mark of a server that serves.
func (w *worker) accept() {
	runtime.LockOSThread()
	c := &conn{limit: unix.NsecToTimeval(int64(2 * time.Second))}
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, listenerFD, 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		if errno != 0 {
			if errno != unix.EINTR && errno != unix.ECONNABORTED {
				time.Sleep(100 * time.Millisecond) // refused or out of descriptors: no busy loop
			}
			continue
		}
		w.active.Add(1)
		c.fd = int(fd)
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &c.limit)
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &c.limit)
		w.answer(c)
		unix.Close(c.fd)
		w.active.Add(-1)
	}
}

// answer reads one request and writes its response. A client that goes away,
// or sends too much or too slowly, gets none.
func (w *worker) answer(c *conn) {
	for c.n = 0; ; {
		n, err := unix.Read(c.fd, c.in[c.n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		c.n += n
		if bytes.Contains(c.in[:c.n], []byte("\r\n\r\n")) {
			break
		}
		if c.n == len(c.in) {
			c.say("431 Request Header Fields Too Large", "too long\n")
			return
		}
	}
	w.served.Add(1)
	path, ok := bytes.CutPrefix(c.in[:c.n], []byte("GET /"))
	end := bytes.IndexByte(path, ' ')
	switch {
	case !ok || end < 0:
		c.say("405 Method Not Allowed", "only GET\n")
	case string(path[:end]) == "status":
		w.status(c)
	case string(path[:end]) == "admin/reload":
		w.reload(c)
	case bytes.HasPrefix(path[:end], []byte("cached/")):
		w.cached(c, path[len("cached/"):end])
	default:
		w.document(c, path[:end])
	}
}

// document answers with a file of the documents.
func (w *worker) document(c *conn, path []byte) {
	if len(path) == 0 {
		path = append(c.path[:0], "index.html"...)
	}
	if len(path) >= len(c.path) || bytes.Contains(path, []byte("..")) || path[0] == '/' || bytes.IndexByte(path, 0) >= 0 {
		c.say("400 Bad Request", "bad path\n")
		return
	}
	c.path[copy(c.path[:], path)] = 0
	// unix.Openat would allocate its copy of the path.
	r, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(w.www), uintptr(unsafe.Pointer(&c.path[0])),
		unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0, 0, 0)
	if errno != 0 {
		c.say("404 Not Found", "no such document\n")
		return
	}
	fd := int(r)
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &c.st); err != nil || c.st.Mode&unix.S_IFMT != unix.S_IFREG {
		c.say("404 Not Found", "no such document\n")
		return
	}
	out := c.head("200 OK", int(c.st.Size))
	for left := c.st.Size; ; {
		n, err := unix.Read(fd, out[len(out):min(int64(cap(out)), int64(len(out))+left)])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < 0 {
			return
		}
		left -= int64(n)
		if !c.write(out[:len(out)+n]) || n == 0 || left == 0 {
			return
		}
		out = c.out[:0]
	}
}

// cached answers with a page of the mapped cache. The lock keeps the mapping
// in place while the kernel reads it.
func (w *worker) cached(c *conn, number []byte) {
	page := 0
	for _, d := range number {
		if d < '0' || d > '9' || page > 4096 {
			c.say("404 Not Found", "no such page\n")
			return
		}
		page = page*10 + int(d-'0')
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if (page+1)*pageSize > len(w.cache) {
		c.say("404 Not Found", "no such page\n")
		return
	}
	if c.write(c.head("200 OK", pageSize)) {
		c.write(w.cache[page*pageSize : (page+1)*pageSize])
	}
}

func (w *worker) status(c *conn) {
	w.mu.RLock()
	text := append(append(c.path[:0], "generation "...), w.gen...)
	w.mu.RUnlock()
	text = strconv.AppendInt(append(text, "\nworker "...), int64(w.slot), 10)
	text = strconv.AppendUint(append(text, "\nserved "...), w.served.Load(), 10)
	text = append(text, '\n')
	c.write(append(c.head("200 OK", len(text)), text...))
}

// reload passes the administrative request to the master, and its answer on.
func (w *worker) reload(c *conn) {
	w.admin.Lock()
	defer w.admin.Unlock()
	if _, err := unix.Write(adminFD, []byte("reload")); err != nil {
		c.say("503 Service Unavailable", "no master: "+err.Error()+"\n")
		return
	}
	var buf [512]byte
	n, err := unix.Read(adminFD, buf[:])
	for err == unix.EINTR {
		n, err = unix.Read(adminFD, buf[:])
	}
	switch said := string(buf[:max(n, 0)]); {
	case err != nil || n == 0:
		c.say("503 Service Unavailable", "no answer from the master\n")
	case said[0] == '!':
		c.say("500 Internal Server Error", said[1:]+"\n")
	default:
		c.say("200 OK", said+"\n")
	}
}

// head starts a response in c.out.
func (c *conn) head(status string, length int) []byte {
	out := append(append(c.out[:0], "HTTP/1.1 "...), status...)
	out = append(out, "\r\nServer: speaker-demo\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: "...)
	return append(strconv.AppendInt(out, int64(length), 10), "\r\n\r\n"...)
}

func (c *conn) say(status, text string) {
	c.write(append(c.head(status, len(text)), text...))
}

// write writes all of b, or says that the client is gone.
func (c *conn) write(b []byte) bool {
	for len(b) > 0 {
		n, err := unix.Write(c.fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}
