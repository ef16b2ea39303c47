package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"speaker/session"
	"speaker/trace"
	"speaker/trace/target"
)

// onScreen bounds every wait for something to show on a terminal.
const onScreen = 20 * time.Second

// user sits at speaker in a terminal of tmux, on a server of its own.
type user struct {
	t    *testing.T
	name string // of the server
	dir  string // of the recordings
}

// sitDown starts speaker in a terminal of w by h. All that it starts ends with
// the test.
func sitDown(t *testing.T, w, h int, args ...string) *user {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it watches and stops processes")
	}
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("needs tmux")
	}
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
	bin, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	u := &user{t: t, name: fmt.Sprintf("speaker-test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-")), dir: t.TempDir()}
	t.Cleanup(u.cleanUp)
	// What the command prints at its end must stay to be read.
	shell := `"$0" "$@"; echo "exit status $?"; exec sleep 600`
	u.tmux(append([]string{"-f", "/dev/null", "-u", "new-session", "-d", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h),
		"sh", "-c", shell, bin, "--session-dir", u.dir}, args...)...)
	return u
}

// as is the same user in a part of the test.
func (u *user) as(t *testing.T) *user {
	v := *u
	v.t = t
	return &v
}

func (u *user) tmux(args ...string) string {
	u.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-L", u.name}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// press sends keys by tmux's names for them.
func (u *user) press(keys ...string) {
	u.t.Helper()
	u.tmux(append([]string{"send-keys"}, keys...)...)
}

func (u *user) resize(w, h int) {
	u.t.Helper()
	u.tmux("resize-window", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h))
}

// screen is what the terminal shows; joined is the same with rows that were
// too long for it put together.
func (u *user) screen() string { u.t.Helper(); return u.tmux("capture-pane", "-p") }
func (u *user) joined() string { u.t.Helper(); return u.tmux("capture-pane", "-p", "-J", "-S", "-50") }

func (u *user) fail(why string) {
	u.t.Helper()
	u.t.Fatalf("%s:\n%s", why, u.screen())
}

// until waits for a screen.
func (u *user) until(what string, ok func(screen string) bool) {
	u.t.Helper()
	if !u.within(onScreen, ok) {
		u.fail("waited " + onScreen.String() + " for " + what)
	}
}

func (u *user) within(d time.Duration, ok func(screen string) bool) bool {
	u.t.Helper()
	for end := time.Now().Add(d); ; time.Sleep(30 * time.Millisecond) {
		if ok(u.screen()) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

func (u *user) sees(text string) {
	u.t.Helper()
	u.until(fmt.Sprintf("%q", text), func(s string) bool { return strings.Contains(s, text) })
}

// seesMatch returns what the expression and its groups match.
func (u *user) seesMatch(expr string) []string {
	u.t.Helper()
	re := regexp.MustCompile(expr)
	var m []string
	u.until(expr, func(s string) bool { m = re.FindStringSubmatch(s); return m != nil })
	return m
}

func (u *user) gone(text string) {
	u.t.Helper()
	u.until(fmt.Sprintf("%q to go", text), func(s string) bool { return !strings.Contains(s, text) })
}

func (u *user) lacks(text string) {
	u.t.Helper()
	if strings.Contains(u.screen(), text) {
		u.fail(fmt.Sprintf("the screen shows %q", text))
	}
}

// filter types a filter for the list in focus.
func (u *user) filter(text string) {
	u.t.Helper()
	u.press("/")
	u.seesMatch(`(?m)^/`)
	u.press("C-u")
	u.press("-l", text)
	u.seesMatch(`(?m)^/` + text)
	u.press("Enter")
	u.sees("filter /" + text)
}

// unfilter shows all rows again. Nothing may follow the escape at once: it
// would be taken for alt and a key.
func (u *user) unfilter() {
	u.t.Helper()
	u.press("Escape")
	u.gone("filter /")
}

// patiently presses keys until the screen answers to them: a dialog that opened
// by itself does not listen before the keyboard was quiet for a while.
func (u *user) patiently(what string, ok func(screen string) bool, keys ...string) {
	u.t.Helper()
	for end := time.Now().Add(onScreen); time.Now().Before(end); {
		u.press(keys...)
		if u.within(time.Second, ok) {
			return
		}
	}
	u.fail("pressed " + strings.Join(keys, " ") + " for " + what)
}

// button goes to a button of the dialog that opens and presses it.
func (u *user) button(label string) {
	u.t.Helper()
	u.sees(label)
	u.patiently("the button "+label, func(s string) bool { return strings.Contains(s, "["+label+"]") }, "Tab")
	u.press("Enter")
	u.gone("[" + label + "]")
}

// dismiss closes a dialog by its title.
func (u *user) dismiss(title string) {
	u.t.Helper()
	box := "─ " + title
	u.patiently(title+" to close", func(s string) bool { return !strings.Contains(s, box) }, "Enter")
}

// typeWord types the word that a dialog wants, and confirms.
func (u *user) typeWord(word string) {
	u.t.Helper()
	u.sees("type " + word + ":")
	u.patiently("a letter to be taken", func(s string) bool { return strings.Contains(s, "type "+word+": "+word[:1]) }, word[:1])
	u.press("-l", word[1:])
	u.sees("type " + word + ": " + word)
	u.press("Enter")
	u.gone("type " + word + ":")
}

// inBox is the text of the dialog on a screen, its lines joined.
func inBox(screen string) string {
	var text []string
	from, to := -1, 0
	for _, line := range strings.Split(screen, "\n") {
		row := []rune(line)
		switch i := strings.Index(line, "┌─ "); {
		case from < 0 && i >= 0:
			from = len([]rune(line[:i]))
			to = from + slices.Index(row[from:], '┐')
		case from >= 0 && to > from && to < len(row) && row[from] == '│' && row[to] == '│':
			text = append(text, strings.TrimSpace(string(row[from+1:to])))
		}
	}
	return strings.Join(text, " ")
}

// hangUp closes the terminal.
func (u *user) hangUp() { u.t.Helper(); u.tmux("kill-server") }

// left are the cgroups of the targets that this user's recordings tell of.
func (u *user) left() []target.Target {
	files, err := filepath.Glob(filepath.Join(u.dir, "*.speaker"))
	if err != nil {
		u.t.Error(err)
	}
	var out []target.Target
	for _, f := range files {
		s, _, err := session.Open(f)
		if err != nil {
			continue // it was just made
		}
		own, err := target.Own(s.Meta().Target.ID)
		if err != nil {
			u.t.Error(err)
		}
		out = append(out, own...)
	}
	return out
}

// cleanUp ends the terminal and whatever is left of what was started in it.
func (u *user) cleanUp() {
	_ = exec.Command("tmux", "-L", u.name, "kill-server").Run()
	eventuallyWithin(u.t, 30*time.Second, "what was started to be gone", func() bool {
		left := u.left()
		for _, t := range left {
			pids, _ := t.Pids()
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			_ = os.Remove(t.CgroupPath)
		}
		return len(left) == 0
	})
}

func eventuallyWithin(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", d, what)
		}
	}
}
