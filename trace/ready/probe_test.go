package ready

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/target"
)

func TestParse(t *testing.T) {
	for s, name := range map[string]string{
		"tcp:80":                     "tcp 127.0.0.1:80",
		"tcp:10.0.0.2:80":            "tcp 10.0.0.2:80",
		"tcp:[::1]:80":               "tcp [::1]:80",
		"tcp:localhost:80":           "tcp 127.0.0.1:80",
		"http://:8080/health":        "http://127.0.0.1:8080/health",
		"http://10.0.0.2/":           "http://10.0.0.2/",
		"https://localhost:8443/x?y": "https://localhost:8443/x?y",
		"log:ready to: accept":       `log "ready to: accept"`,
		"logfile:/var/log/x:up":      `file "/var/log/x" "up"`,
		"health":                     "health",
		"notify":                     "notify",
		"cmd:pg_isready -q":          `command "pg_isready -q"`,
	} {
		p, err := Parse(s)
		if err != nil || p.Name != name || p.String() != s || p.by == nil {
			t.Errorf("%s: %q, %v; want %q", s, p.Name, err, name)
		}
	}
	for s, says := range map[string]string{
		"":                        "say tcp:PORT",
		"tcp":                     "is not a port",
		"tcp:":                    "is not a port",
		"tcp:0":                   "is not a port",
		"tcp:65536":               "is not a port",
		"tcp:80 ":                 "is not a port",
		"tcp:db:5432":             "names are not looked up",
		"http:80":                 "say http://:PORT/PATH",
		"http://u:p@:80/":         "say http://:PORT/PATH",
		"http://db:80/":           "names are not looked up",
		"http://:99999/":          "is not a port",
		"log:":                    "say tcp:PORT",
		"logfile:x:y":             "say logfile:/PATH:TEXT",
		"logfile:/x":              "say logfile:/PATH:TEXT",
		"cmd: ":                   "say tcp:PORT",
		"healthy":                 "say tcp:PORT",
		strings.Repeat("x", 2000): "1000 at most",
	} {
		if _, err := Parse(s); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want %q", s, err, says)
		}
	}
	all, err := ParseAll([]string{"tcp:80", "health", "tcp:127.0.0.1:80"})
	if err != nil || len(all) != 2 {
		t.Errorf("%v, %v: the same one twice is one", all, err)
	}
	if _, err := ParseAll(make([]string, 17)); err == nil || !strings.Contains(err.Error(), "16 at most") {
		t.Error(err)
	}
}

// self is this process as a target.
func self() Target {
	return Target{
		Pid: os.Getpid, Owns: func(pid int) bool { return pid == os.Getpid() },
		Found:  func() target.Target { return target.Target{Engine: "run"} },
		Engine: func() (*target.Docker, error) { return nil, errors.New("no container") },
	}
}

// ask asks for up to d, and returns what was said.
func ask(t *testing.T, probe string, to Target, d time.Duration) ([]Answer, error) {
	t.Helper()
	p, err := Parse(probe)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var got []Answer
	err = p.Ask(ctx, to, func(a Answer) { got = append(got, a) })
	if (err == nil) != (len(got) > 0) {
		t.Errorf("%s: answers %v, and error %v", probe, got, err)
	}
	return got, err
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if got, err := ask(t, fmt.Sprintf("tcp:%d", port), self(), 10*time.Second); err != nil || got[0].Said != "answers" {
		t.Error(got, err)
	}
	l.Close()
	if _, err := ask(t, fmt.Sprintf("tcp:%d", port), self(), 300*time.Millisecond); !errors.Is(err, unix.ECONNREFUSED) {
		t.Error(err)
	}
	none := self()
	none.Pid = func() int { return 0 }
	if _, err := ask(t, "tcp:1", none, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "not seen to begin") {
		t.Error(err)
	}
}

// A server is asked until it answers well; what else it does makes no difference.
func TestHTTP(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked++; {
		case r.URL.Path == "/away":
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(302)
		case r.URL.Path == "/never":
			w.WriteHeader(503)
		case r.URL.Path == "/long":
			w.Header().Set("X", strings.Repeat("x", 2*maxHeader))
		case r.URL.Path == "/raw":
			c, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprint(c, "\x1b[2J hello \r\n\r\n")
			c.Close()
		case asked < 3:
			w.WriteHeader(500)
		}
	}))
	defer s.Close()
	for path, c := range map[string]struct {
		said, err string
	}{
		"/":      {"answers 200", ""},
		"/away":  {"answers 302", ""},
		"/never": {"", "it answered 503"},
		"/long":  {"", "no HTTP"},
		"/raw":   {"", "no HTTP"},
	} {
		asked = 0
		wait := 10 * time.Second
		if c.err != "" {
			wait = 300 * time.Millisecond
		}
		got, err := ask(t, s.URL+path, self(), wait)
		switch {
		case c.err == "" && (err != nil || got[0].Said != c.said):
			t.Errorf("%s: %v, %v", path, got, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\x1b")):
			t.Errorf("%s: %q, want %q", path, err, c.err)
		case path == "/" && asked != 3:
			t.Errorf("asked %d times, of which the third was answered well", asked)
		}
	}
	tls := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer tls.Close()
	if got, err := ask(t, tls.URL, self(), 10*time.Second); err != nil {
		t.Error(got, err)
	}
}

func TestCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "up")
	time.AfterFunc(200*time.Millisecond, func() { os.WriteFile(file, nil, 0o600) })
	if got, err := ask(t, "cmd:test -e "+file, self(), 10*time.Second); err != nil || got[0].Said != "ends well" {
		t.Error(got, err)
	}
	if _, err := ask(t, fmt.Sprintf("cmd:exit $((SPEAKER_PID == %d ? 7 : 0))", os.Getpid()), self(), 250*time.Millisecond); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Error(err)
	}
	began := time.Now()
	if _, err := ask(t, "cmd:sleep 60 & sleep 60", self(), 250*time.Millisecond); err == nil || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// Only what is written to a file after the beginning counts, whatever becomes of it.
func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(flag int, text string) {
		f, err := os.OpenFile(path, flag|os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(f, text)
		f.Close()
	}
	write(0, "it is ready: an old line\n")
	for name, then := range map[string]func(){
		"added":     func() { write(os.O_APPEND, "it is "); write(os.O_APPEND, "ready\n") },
		"truncated": func() { write(os.O_TRUNC, "it is ready\n") },
		"rotated":   func() { os.Rename(path, path+".1"); write(0, strings.Repeat("x\n", 50)+"it is ready\n") },
		"long":      func() { write(os.O_APPEND, strings.Repeat("x", 100_000)+"\nit is ready\n") },
	} {
		p, err := Parse("logfile:" + path + ":is ready")
		if err != nil {
			t.Fatal(err)
		}
		p.Begin()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		time.AfterFunc(150*time.Millisecond, then)
		n := 0
		err = p.Ask(ctx, self(), func(a Answer) { n++; cancel() })
		cancel()
		if err != nil || n != 1 {
			t.Errorf("%s: %d answers, %v", name, n, err)
		}
	}
	if _, err := ask(t, "logfile:/dev/zero:x", self(), 200*time.Millisecond); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
	if _, err := ask(t, "logfile:"+path+"none:x", self(), 200*time.Millisecond); !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}

// A notice counts if a process of the target sent it.
func TestNotify(t *testing.T) {
	s, err := NewSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	to := self()
	to.Socket = s
	send := func(text string) {
		c, err := net.Dial("unixgram", strings.TrimPrefix(s.Env, "NOTIFY_SOCKET="))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(c, text)
	}
	send("STATUS=READY=1\nX=1\n")
	send("STATUS=up\nREADY=1\n")
	if got, err := ask(t, "notify", to, 300*time.Millisecond); err != nil || len(got) != 1 || got[0].Said != "says READY=1" {
		t.Error(got, err)
	}
	to.Owns = func(int) bool { return false }
	send("READY=1")
	if _, err := ask(t, "notify", to, 300*time.Millisecond); err == nil || !strings.Contains(err.Error(), "not the target's") {
		t.Error(err)
	}
	if _, err := ask(t, "notify", self(), time.Second); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

// A unit is ready when systemd says that it is active, if it is one that tells.
func TestNotifyOfAUnit(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	to := self()
	to.Found = func() target.Target { return target.Target{Engine: "unit", Name: "x.service"} }
	for out, want := range map[string]string{
		`Type=notify\nActiveState=active\nSubState=running\n`:    "",
		`Type=notify\nActiveState=activating\nSubState=start\n`:  "the unit is activating (start)",
		`Type=simple\nActiveState=active\nSubState=running\n`:    "Type=simple",
		`Type=notify-reload\nActiveState=active\nSubState=run\n`: "",
	} {
		script := fmt.Sprintf("#!/bin/sh\n[ \"$1 $4\" = 'show x.service' ] && printf '%s'\n", out)
		if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := ask(t, "notify", to, 300*time.Millisecond)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", out, err)
		}
	}
}

func TestOfContainersAlone(t *testing.T) {
	for _, p := range []string{"health", "log:x"} {
		if _, err := ask(t, p, self(), time.Second); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", p, err)
		}
	}
}
