package tui

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/creack/pty"
)

func TestColourIsDecidedHere(t *testing.T) {
	for _, c := range []struct {
		name, color string
		env         map[string]string
		want        colorprofile.Profile
	}{
		{"plain", "auto", map[string]string{"TERM": "xterm-256color"}, colorprofile.ANSI},
		{"default", "", map[string]string{"TERM": "xterm-256color"}, colorprofile.ANSI},
		{"truecolor is not needed", "auto", map[string]string{"TERM": "xterm", "COLORTERM": "truecolor"}, colorprofile.ANSI},
		{"NO_COLOR=yes", "auto", map[string]string{"TERM": "xterm", "NO_COLOR": "yes"}, colorprofile.ASCII},
		{"NO_COLOR=1", "auto", map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, colorprofile.ASCII},
		{"always beats NO_COLOR", "always", map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, colorprofile.ANSI},
		{"never", "never", map[string]string{"TERM": "xterm"}, colorprofile.ASCII},
		{"dumb", "auto", map[string]string{"TERM": "dumb"}, colorprofile.ASCII},
		{"vt100", "auto", map[string]string{"TERM": "vt100"}, colorprofile.ASCII},
		{"no TERM", "auto", nil, colorprofile.ASCII},
	} {
		if got := profile(c.color, func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// The real program on a real pty: it comes up, asks the terminal nothing,
// leaves the mouse alone, and puts the terminal back.
func TestRunOnATerminal(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pty: %v", err)
	}
	defer master.Close()
	defer slave.Close()
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TERM", "xterm-256color")
	b := newFakeBackend()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- Run(ctx, b, Options{Start: "demo", In: slave, Out: slave, Color: "always"}) }()
	out := readUntil(t, master, "Sets")
	if _, err := master.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	out += readUntil(t, master, "\x1b[?1049l")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b[?u", "\x1b[?2026$p", "\x1b[?2027$p", "\x1b[c", "\x1b]11;?", "\x1b[6n", "\x1b[?1000h", "\x1b[?1002h", "\x1b[?1003h", "\x1bP+q"} {
		if strings.Contains(out, bad) {
			t.Errorf("%q was written", bad)
		}
	}
	if !strings.Contains(out, "\x1b[?1049h") {
		t.Error("no alternate screen")
	}
	if b.opened[0].closed != 1 {
		t.Errorf("the work was closed %d times", b.opened[0].closed)
	}
}

// readUntil reads the terminal until it has shown want.
func readUntil(t *testing.T, f *os.File, want string) string {
	t.Helper()
	var out strings.Builder
	buf := make([]byte, 4096)
	deadline := time.Now().Add(15 * time.Second)
	for !strings.Contains(out.String(), want) {
		if err := f.SetReadDeadline(deadline); err != nil && err != os.ErrNoDeadline {
			t.Logf("no deadline: %v", err)
		}
		n, err := f.Read(buf)
		out.Write(buf[:n])
		if err != nil && err != io.EOF {
			t.Fatalf("read terminal: %v; so far %q", err, out.String())
		}
	}
	return out.String()
}

// A context that ends is a way to quit, and everything is closed.
func TestRunEndsWithItsContext(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pty: %v", err)
	}
	defer master.Close()
	defer slave.Close()
	pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80})
	b := newFakeBackend()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, b, Options{Start: "demo", In: slave, Out: slave}) }()
	readUntil(t, master, "Sets")
	go io.Copy(io.Discard, master)
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("an error: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	if b.opened[0].closed != 1 {
		t.Errorf("the work was closed %d times", b.opened[0].closed)
	}
}
