package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"speaker/apply"
	"speaker/trace"
	"speaker/trace/target"
)

// Errors that callers may want to tell apart.
var (
	ErrNotDemo   = errors.New("only the demo has an administrative request")
	ErrFile      = errors.New("this is a saved session: there is no live target to do that to")
	ErrCannotRun = errors.New("this target cannot be booted from here, so neither under the two-phase filter: only containers of an engine that is told to, the demo and commands started here can; inject the run filter instead (I)")
	ErrNotHeld   = errors.New("it was booted again, but is not held: it runs as it would have without speaker")
	ErrReadOnly  = errors.New("read-only (--readonly): targets are watched as they are; nothing is started, booted again, held or applied")
	ErrClosed    = errors.New("this is no longer watched: its session is closed")
	ErrNoSplit   = errors.New("no split yet: accept the proposal (a) or set one by hand")
)

// What an administrative request is marked with when it is sent, and, with the
// error behind it, when it failed.
const (
	ReloadMark   = "administrative request: reload"
	ReloadFailed = "administrative request failed: "
)

// Options are what the command line decides.
type Options struct {
	// SessionDir is where recordings go; "" means DefaultSessionDir.
	SessionDir string
	// SessionFile is the file of the first recording; it must not exist. ""
	// names one in SessionDir.
	SessionFile string
	// NoFile keeps recordings in memory only.
	NoFile bool
	// DockerHost is the address of Docker's daemon; "" means the environment's.
	DockerHost string
	// SampleRate is the number of samples a second the kernel lets through
	// per CPU; 0 means the tracer's default.
	SampleRate int
	// ByProcess counts per process from the first call on; see Work.WatchProcesses.
	ByProcess bool
	// Follow records the life after the one that is watched, too, should somebody
	// start the container again.
	Follow bool
	// Command is what `speaker run` starts; its target is "run".
	Command []string
	// Output receives the standard output and error of what is started; nil
	// means /dev/null. Not closed here.
	Output *os.File
	// ReadOnly refuses all that applies, restarts or asks something of a
	// target, and the start of commands. The demo can be started, to be watched.
	ReadOnly bool
	// Ready are the readiness probes of the first target that is watched.
	Ready []string
	// LoadRate is the demo's load in requests a second.
	LoadRate int
	// Tool names this program and its version in session files.
	Tool string
}

// Bench is the Backend that works on this machine. It keeps no connection and
// no goroutine between calls.
type Bench struct {
	opt   Options
	mu    sync.Mutex
	named bool // SessionFile is used up
	asked bool // Ready is
	last  []string

	controller func() string // in whose hierarchy engines make cgroups
}

// New returns a Bench. Nothing is touched before the first call.
func New(o Options) *Bench {
	if o.LoadRate == 0 {
		o.LoadRate = 20
	}
	return &Bench{opt: o, controller: target.BootController}
}

// DefaultSessionDir is $XDG_STATE_HOME/speaker, else ~/.local/state/speaker.
func DefaultSessionDir() string {
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "speaker")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "."
	}
	return filepath.Join(home, ".local", "state", "speaker")
}

// Targets lists the demo, the command of `speaker run`, what speaker started
// earlier and is still alive, the containers of all engines, and systemd's units.
func (b *Bench) Targets(ctx context.Context) ([]Item, []string) {
	var problems []string
	items := []Item{{Ref: "demo", Engine: "demo", Name: "demo", Image: "(built in)",
		Command: "a little server with its own load", State: "not started", CanBoot: true}}
	if len(b.opt.Command) > 0 {
		items = append(items, Item{Ref: "run", Engine: "run", Name: filepath.Base(b.opt.Command[0]),
			Command: strings.Join(b.opt.Command, " "), State: "not started", CanBoot: true})
	}
	items = append(items, leftovers()...)
	found, failed := target.Find(b.hosts()).List(ctx)
	problems = append(problems, failed...)
	units, err := target.Units()
	if err != nil {
		problems = append(problems, err.Error())
	}
	for _, t := range append(found, units...) {
		items = append(items, itemOf(t))
	}
	if holds, err := apply.FindHolds(); err == nil {
		for _, h := range holds {
			what := "a hold is in place on"
			if h.Sealed() {
				what = "the run filter is sealed on"
			}
			problems = append(problems, fmt.Sprintf("%s %s (pid %d): speaker hold %s", what, h.Name, h.Pid, h.Name))
		}
	}
	return items, problems
}

// itemOf is the picker's line for a target.
func itemOf(t target.Target) Item {
	return Item{Ref: t.Ref(), Engine: t.Engine, ID: t.ID, Name: t.Name, Image: t.Image, Command: t.Command,
		Namespace: t.Namespace, State: t.State, Pid: t.Pid, Created: t.Created, CanBoot: t.CanStart(),
		Cgroup: t.CgroupPath, Facts: t.Facts}
}

// Watch implements Backend.
func (b *Bench) Watch(ctx context.Context, ref string, boot bool) (Work, error) {
	if err := trace.Supported(); err != nil {
		return nil, err
	}
	switch ref {
	case "demo":
		return b.bootOwn(ctx, &demoStarter{bench: b})
	case "run":
		switch {
		case len(b.opt.Command) == 0:
			return nil, errors.New("nothing to run: give a command after --")
		case b.opt.ReadOnly:
			return nil, ErrReadOnly
		}
		return b.bootOwn(ctx, &runStarter{bench: b})
	}
	switch {
	case boot && b.opt.ReadOnly:
		return nil, ErrReadOnly
	case boot:
		w, err := b.bootContainer(ctx, ref, nil, nil)
		if err != nil {
			return nil, err
		}
		return w, nil
	}
	w, err := b.watchRunning(ctx, ref)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// sessionPath names the file of the next recording ("" for none).
func (b *Bench) sessionPath(name string, now time.Time) (string, error) {
	if b.opt.NoFile {
		return "", nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opt.SessionFile != "" && !b.named {
		b.named = true
		return b.opt.SessionFile, nil
	}
	dir := b.opt.SessionDir
	if dir == "" {
		dir = DefaultSessionDir()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make session folder: %w", err)
	}
	base := filepath.Join(dir, fileName(name)+"-"+now.Format("20060102-150405"))
	path := base + ".speaker"
	for i := 2; exists(path); i++ {
		path = fmt.Sprintf("%s-%d.speaker", base, i)
	}
	return path, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// fileName keeps of a target's name what is harmless in a file name.
func fileName(s string) string {
	var out []rune
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.' && len(out) > 0:
			out = append(out, r)
		default:
			out = append(out, '_')
		}
		if len(out) == 60 {
			break
		}
	}
	if len(out) == 0 {
		return "session"
	}
	return string(out)
}

func (b *Bench) hosts() target.Hosts { return target.Hosts{Docker: b.opt.DockerHost} }

// resolve finds a running target: one of speaker's own, or what target.Resolve
// knows.
func (b *Bench) resolve(ctx context.Context, ref string) (target.Target, error) {
	t, err := target.Find(b.hosts()).Resolve(ctx, ref)
	if err != nil {
		return t, err
	}
	if strings.HasPrefix(filepath.Base(t.CgroupPath), ownPrefix) {
		t.Name = strings.TrimPrefix(filepath.Base(t.CgroupPath), ownPrefix)
	}
	return t, nil
}

// forgotten is the age from which on an empty cgroup of speaker's own is one
// whose target ended after its speaker, and not one that is about to be entered.
const forgotten = time.Minute

// leftovers are the targets that speaker started and that outlived it. It
// removes the cgroups of those that have ended.
func leftovers() []Item {
	own, err := target.Own(ownPrefix)
	if err != nil {
		return nil
	}
	var items []Item
	for _, t := range own {
		if t.Pid == 0 {
			if time.Since(t.Created) > forgotten {
				os.Remove(t.CgroupPath) // fails, rightly, if somebody entered it just now
			}
			continue
		}
		i := itemOf(t)
		i.Name = strings.TrimPrefix(t.Name, ownPrefix)
		i.Image = "(started by speaker)"
		items = append(items, i)
	}
	return items
}

// farewell keeps a line for after the screen is gone.
func (b *Bench) farewell(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = append(b.last, line)
}

// Farewell returns what the user should know once the screen is gone: where
// recordings are, and what was left running.
func (b *Bench) Farewell() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.last)
}
