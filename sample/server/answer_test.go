package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newTestWorker is a worker with one document and two cached pages, and a
// connection whose other end the test holds.
func newTestWorker(t testing.TB) (*worker, *conn, int) {
	t.Helper()
	www := t.TempDir()
	if err := os.WriteFile(filepath.Join(www, "index.html"), []byte(strings.Repeat("hello ", 3000)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("index.html", filepath.Join(www, "link")); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(www, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range []int{fd, pair[0], pair[1]} {
			unix.Close(fd)
		}
	})
	return &worker{www: fd, cache: make([]byte, 2*pageSize), gen: []byte("7")}, &conn{fd: pair[0]}, pair[1]
}

// ask has the worker answer one request and returns what it sent.
func ask(t testing.TB, w *worker, c *conn, client int, request string, room []byte) []byte {
	if _, err := unix.Write(client, []byte(request)); err != nil {
		t.Fatal(err)
	}
	w.answer(c)
	n, _, err := unix.Recvfrom(client, room, unix.MSG_DONTWAIT)
	if err != nil {
		t.Fatal(err)
	}
	return room[:n]
}

func TestAnswer(t *testing.T) {
	const get, end = "GET /", " HTTP/1.1\r\n\r\n"
	tests := []struct{ name, request, status, body string }{
		{"the first page", get + end, "200", strings.Repeat("hello ", 3000)},
		{"a document", get + "index.html" + end, "200", "hello "},
		{"a link", get + "link" + end, "404", "no such document"},
		{"a directory", get + "." + end, "404", "no such document"},
		{"a way out", get + "../x" + end, "400", "bad path"},
		{"an absolute path", get + "/etc/passwd" + end, "400", "bad path"},
		{"a cut path", get + "index.html\x00x" + end, "400", "bad path"},
		{"a long path", get + strings.Repeat("x", 300) + end, "400", "bad path"},
		{"the status", get + "status" + end, "200", "generation 7\nworker 0\n"},
		{"the last cached page", get + "cached/1" + end, "200", "\x00\x00\x00"},
		{"no cached page", get + "cached/2" + end, "404", "no such page"},
		{"no number", get + "cached/x" + end, "404", "no such page"},
		{"another method", "POST / HTTP/1.1\r\n\r\n", "405", "only GET"},
		{"no request", "x\r\n\r\n", "405", "only GET"},
		{"no path's end", "GET /x\r\n\r\n", "405", "only GET"},
		{"too long", strings.Repeat("x", 2048), "431", "too long"},
	}
	w, c, client := newTestWorker(t)
	room := make([]byte, 64<<10)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(ask(t, w, c, client, tt.request, room))
			head, body, ok := strings.Cut(got, "\r\n\r\n")
			if !ok || !strings.HasPrefix(head, "HTTP/1.1 "+tt.status) || !strings.HasPrefix(body, tt.body) {
				t.Errorf("got %.200q, want status %s and %.50q", got, tt.status, tt.body)
			}
		})
	}
}

// A worker lives with the collector switched off: see steady.go.
func TestServingAllocatesNothing(t *testing.T) {
	w, c, client := newTestWorker(t)
	room := make([]byte, 64<<10)
	for _, path := range []string{"", "status", "cached/1", "nothing", "../x"} {
		request := []byte("GET /" + path + " HTTP/1.1\r\n\r\n")
		allocs := testing.AllocsPerRun(100, func() {
			unix.Write(client, request)
			w.answer(c)
			unix.Read(client, room) // all of it: it is in one piece, and fits
		})
		if allocs != 0 {
			t.Errorf("GET /%s allocates %v times, want none", path, allocs)
		}
	}
}
