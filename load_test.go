package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is a real server in the image, and how to talk to it.
type server struct {
	flags   []string // of docker run
	command []string
	port    int
	client  func(addr string) *client
}

// client makes real requests. ask makes one, and checks the answer.
type client struct {
	ask   func() error
	close func()
}

var (
	nginx = server{nil, []string{"nginx", "-g", "daemon off;"}, 80, httpClient}
	redis = server{nil, []string{"redis-server", "--protected-mode", "no", "--save", ""}, 6379, redisClient}
	// It makes its data anew at each start: that is a long boot of many programs.
	postgres = server{[]string{"--user", "postgres"}, []string{"sh", "-c", `cd /usr/lib/postgresql/*/bin && D=/tmp/db &&
		rm -rf $D && ./initdb -D $D --no-sync >/dev/null && echo "host all all all trust" >>$D/pg_hba.conf &&
		exec ./postgres -D $D -k /tmp -h '*' -c fsync=off`}, 5432, postgresClient}
)

// answerTime is when a request without an answer counts as lost.
const answerTime = 10 * time.Second

// httpClient asks for a page, over a new connection each time.
func httpClient(addr string) *client {
	c := &http.Client{Timeout: answerTime, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func() error {
		r, err := c.Get("http://" + addr + "/")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if r.StatusCode != http.StatusOK || !strings.Contains(string(body), "</html>") {
			return fmt.Errorf("answered %s: %q", r.Status, body)
		}
		return nil
	}
	return &client{ask, c.CloseIdleConnections}
}

// wire is a connection that is made when it is first needed.
type wire struct {
	addr  string
	conn  net.Conn
	r     *bufio.Reader
	hello func(*wire) error // after connecting; may be nil
}

func (w *wire) open() error {
	if w.conn == nil {
		c, err := net.DialTimeout("tcp", w.addr, answerTime)
		if err != nil {
			return err
		}
		w.conn, w.r = c, bufio.NewReader(c)
		w.conn.SetDeadline(time.Now().Add(answerTime))
		if w.hello != nil {
			return w.hello(w)
		}
	}
	return w.conn.SetDeadline(time.Now().Add(answerTime))
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// redisClient sets and gets a value; two requests of three use a connection
// that was there before.
func redisClient(addr string) *client {
	w := &wire{addr: addr}
	n, key := 0, fmt.Sprintf("key%p", w)
	ask := func() error {
		if n++; n%3 == 0 {
			w.close()
		}
		if err := redisWant(w, "+OK", "SET", key, fmt.Sprint(n)); err != nil {
			return err
		}
		return redisWant(w, fmt.Sprint(":", n+1), "INCR", key)
	}
	return &client{ask, w.close}
}

func redisWant(w *wire, want string, words ...string) error {
	got, err := redisCall(w, words...)
	if err == nil && got != want {
		err = fmt.Errorf("%s answered %q, want %q", words[0], got, want)
	}
	return err
}

// redisCall sends a command, and returns the line that answers it.
func redisCall(w *wire, words ...string) (string, error) {
	if err := w.open(); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, s := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(s), s)
	}
	if _, err := io.WriteString(w.conn, b.String()); err != nil {
		return "", err
	}
	line, err := w.r.ReadString('\n')
	return strings.TrimSpace(line), err
}

// postgresClient computes something, over a new connection each time: each is
// a process of its own in the server.
func postgresClient(addr string) *client {
	w := &wire{addr: addr, hello: postgresHello}
	ask := func() error {
		w.close()
		got, err := postgresQuery(w, "SELECT 6*7")
		if err == nil && got != "42" {
			err = fmt.Errorf("answered %q", got)
		}
		return err
	}
	return &client{ask, w.close}
}

func postgresHello(w *wire) error {
	body := "\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"
	if _, err := w.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)); err != nil {
		return err
	}
	_, err := postgresAnswer(w)
	return err
}

// postgresQuery returns the first column of the last row, or the server's error.
func postgresQuery(w *wire, sql string) (string, error) {
	if err := w.open(); err != nil {
		return "", err
	}
	msg := append([]byte{'Q'}, binary.BigEndian.AppendUint32(nil, uint32(len(sql)+5))...)
	if _, err := w.conn.Write(append(append(msg, sql...), 0)); err != nil {
		return "", err
	}
	return postgresAnswer(w)
}

// postgresAnswer reads messages until the server is ready for the next query.
func postgresAnswer(w *wire) (got string, failed error) {
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(w.r, head); err != nil {
			return "", err
		}
		body := make([]byte, min(binary.BigEndian.Uint32(head[1:])-4, 1<<20))
		if _, err := io.ReadFull(w.r, body); err != nil {
			return "", err
		}
		switch head[0] {
		case 'Z':
			return got, failed
		case 'E':
			return "", errors.New(strings.ReplaceAll(string(body), "\x00", " "))
		case 'D':
			got = string(body[6:])
		}
	}
}

// load keeps a server busy, and counts.
type load struct {
	stop func()

	mu    sync.Mutex
	asked int
	lost  []error
}

// startLoad has two clients ask for something some hundred times a second,
// until the test ends or the load is stopped.
func startLoad(t testing.TB, s server, addr string) *load {
	t.Helper()
	l := &load{}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { l.work(s.client(addr), done) })
	}
	l.stop = sync.OnceFunc(func() { close(done); wg.Wait() })
	t.Cleanup(l.stop)
	return l
}

func (l *load) work(c *client, done chan struct{}) {
	defer c.close()
	pace := time.NewTicker(8 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-done:
			return
		case <-pace.C:
		}
		err := c.ask()
		l.mu.Lock()
		if l.asked++; err != nil {
			l.lost = append(l.lost, err)
		}
		l.mu.Unlock()
		if err != nil {
			c.close()
		}
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// more waits for n more answers.
func (l *load) more(t testing.TB, n int) {
	t.Helper()
	from := l.count()
	eventually(t, fmt.Sprint(n, " answers"), func() (bool, string) {
		got := l.count() - from
		return got >= n, fmt.Sprint("got ", got)
	})
}

// check fails the test for every request that was lost up to now.
func (l *load) check(t testing.TB, when string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lost) > 0 || l.asked == 0 {
		t.Errorf("%s: %d of %d requests lost, first: %v", when, len(l.lost), l.asked, l.lost[:min(3, len(l.lost))])
	}
}
