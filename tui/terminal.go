package tui

import (
	"bytes"
	"os"
	"strings"

	"github.com/charmbracelet/colorprofile"
)

// profile decides on colour. It looks at the environment only: asking the
// terminal, or tmux, is not done (replies leak as keys on slow lines, and a
// root process must not run what it finds in PATH). Sixteen colours are all
// that is used, so no more are asked for.
func profile(color string, getenv func(string) string) colorprofile.Profile {
	term := getenv("TERM")
	switch {
	case color == "always":
		return colorprofile.ANSI
	case color == "never", getenv("NO_COLOR") != "", term == "", term == "dumb", strings.HasPrefix(term, "vt1"):
		return colorprofile.ASCII
	}
	return colorprofile.ANSI
}

// environment is what Bubble Tea gets to know: the kind of terminal, and that
// it may be far away. The latter keeps it from asking the terminal what it can.
func environment(env []string) []string {
	out := []string{"SSH_TTY=/dev/null"}
	for _, e := range env {
		if strings.HasPrefix(e, "TERM=") {
			out = append(out, e)
		}
	}
	return out
}

// queries are what Bubble Tea asks a terminal on its own account. Their
// answers change nothing that matters here and come as keys when a line is slow.
var queries = [][]byte{
	[]byte("\x1b[?u"),      // kitty keyboard
	[]byte("\x1b[?2026$p"), // synchronized output
	[]byte("\x1b[?2027$p"), // grapheme clusters
}

// quietTerminal is a terminal that is never asked anything.
type quietTerminal struct{ *os.File }

// Write implements io.Writer. Bubble Tea writes whole sequences at a time.
func (t quietTerminal) Write(p []byte) (int, error) {
	if _, err := t.File.Write(mute(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// mute takes the queries out of what is written.
func mute(p []byte) []byte {
	for _, q := range queries {
		if bytes.Contains(p, q) {
			p = bytes.ReplaceAll(p, q, nil)
		}
	}
	return p
}
