package sample

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	requestTime = 3 * time.Second  // for a plain request
	adminTime   = 20 * time.Second // for the administrative one
	answerLimit = 64 << 10         // bytes of an answer that are read
)

// newClient makes every request on a connection of its own, so that serving
// shows all of its calls.
func newClient(s *sockets, to netip.AddrPort) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx, to) }
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, DisableCompression: true}}
}

// Request asks for a path ("/", "/status", "/cached/3", "/admin/reload", ...)
// and returns the answer, at most 64 KiB of it. An answer that is not a success
// is an error that holds its text, which comes from the container: whoever
// prints it escapes it.
func (c *Container) Request(path string) (string, error) {
	limit := requestTime
	if strings.HasPrefix(path, "/admin/") {
		limit = adminTime
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr+path, nil)
	if err != nil {
		return "", fmt.Errorf("request %s: %w", path, err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("request %s: %w", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return "", fmt.Errorf("request %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("request %s: %s: %s", path, resp.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// loadPaths are what visitors of the demo ask for, in turn.
var loadPaths = []string{"/", "/cached/0", "/about.txt", "/cached/7", "/status", "/", "/hours.txt", "/cached/21"}

// visitors is how many of them ask at the same time, at most.
const visitors = 4

// Load is a number of visitors that ask for documents until they are stopped.
type Load struct {
	stop chan struct{}
	once sync.Once
	wg   sync.WaitGroup

	mu         sync.Mutex
	ok, failed uint64
	last       error
}

// MaxLoad is the most requests a second that Load makes.
const MaxLoad = 10_000

// Load starts asking, rps times a second altogether (1 to MaxLoad; 0 means 20).
// Until the server answers for the first time, nothing counts as failed. The
// caller stops it; the container's end does not.
func (c *Container) Load(rps int) *Load {
	if rps <= 0 {
		rps = 20
	}
	l := &Load{stop: make(chan struct{})}
	every := visitors * time.Second / time.Duration(min(rps, MaxLoad))
	for v := range visitors {
		l.wg.Go(func() { l.visit(c, v, every) })
	}
	return l
}

// visit is one visitor's life. Visitors start one after the other, so that
// their requests are spread evenly.
func (l *Load) visit(c *Container, v int, every time.Duration) {
	first := time.NewTimer(time.Duration(v) * every / visitors)
	defer first.Stop()
	select {
	case <-l.stop:
		return
	case <-first.C:
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := v * len(loadPaths) / visitors; ; n++ {
		_, err := c.Request(loadPaths[n%len(loadPaths)])
		l.count(err)
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
	}
}

func (l *Load) count(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.ok++
	case l.ok > 0:
		l.failed++
		l.last = err
	}
}

// Stats says how many requests were answered and how many were not since the
// first answer, and the last error.
func (l *Load) Stats() (ok, failed uint64, last error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ok, l.failed, l.last
}

// Stop ends the load, after the requests that are under way.
func (l *Load) Stop() {
	l.once.Do(func() { close(l.stop) })
	l.wg.Wait()
}
