package tui

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
	"speaker/trace"
	"speaker/trace/ready"
	"speaker/trace/target"
	"speaker/tui/bench"
)

// fakeBackend lists three targets and opens fakeWorks on a fixed session.
type fakeBackend struct {
	mu       sync.Mutex
	items    []bench.Item
	problems []string
	watchErr error
	slow     chan struct{} // Watch waits for it, or for its context
	opened   []*fakeWork
}

func newFakeBackend() *fakeBackend {
	return &fakeBackend{
		items: []bench.Item{
			{Ref: "demo", Engine: "demo", Name: "demo", Image: "(built in)", Command: "a little server with its own load", State: "not started", CanBoot: true},
			{Ref: "docker:web", Engine: "docker", ID: "0123abc", Name: "web", Image: "nginx:1.27", Command: "nginx -g 'daemon off;'", State: "running", CanBoot: true,
				Pid: 4711, Facts: &target.Facts{Processes: 3, CgroupVersion: 2, Seccomp: 2, Filters: 1, CapEff: 0xa80425fb, LastCap: 40}},
			{Ref: "docker:cache", Engine: "docker", ID: "0456def", Name: "cache", Image: "redis:7", Command: "redis-server", State: "exited", CanBoot: true},
		},
		problems: []string{"podman: no socket at /run/podman/podman.sock"},
	}
}

func (b *fakeBackend) Targets(context.Context) ([]bench.Item, []string) { return b.items, b.problems }

func (b *fakeBackend) Watch(ctx context.Context, ref string, boot bool) (bench.Work, error) {
	if b.watchErr != nil {
		return nil, b.watchErr
	}
	if b.slow != nil {
		select {
		case <-b.slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for _, t := range b.items {
		if t.Ref == ref {
			w := newFakeWork(t)
			w.boot = boot
			b.mu.Lock()
			defer b.mu.Unlock()
			b.opened = append(b.opened, w)
			return w, nil
		}
	}
	return nil, fmt.Errorf("no target %q", ref)
}

// fakeWork is a Work over a real session; what it would do to a target it
// notes in did.
type fakeWork struct {
	mu     sync.Mutex
	s      *session.Session
	st     bench.State
	boot   bool
	did    []string
	checks []apply.Check
	fail   error // what the next apply answers
	closed int
	next   *fakeWork // what Hold and Reboot return
}

func newFakeWork(t bench.Item) *fakeWork {
	t.State, t.Pid = "running", 4242
	s := fixedSession()
	return &fakeWork{s: s, st: bench.State{Mode: bench.Live, Item: t, Phase: policy.Run, Elapsed: s.Length(), Rate: 1234,
		Lost: trace.Lost{SamplesDropped: 12, SamplesSkipped: 3400}, Recording: "/var/lib/speaker/" + t.Name + "-20240102-030405.speaker",
		Applied: bench.Nothing, Load: "demo load: 1203 answered, 0 failed"},
		checks: []apply.Check{
			{ID: "a", Title: "no process is frozen", Level: apply.OK},
			{ID: "b", Title: "no_new_privs", Found: "not set", Why: "injecting sets it: setuid programs lose their privilege", Level: apply.Warn},
		}}
}

func (w *fakeWork) note(s string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did = append(w.did, s)
	return w.fail
}

func (w *fakeWork) log() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.did...)
}

func (w *fakeWork) set(f func(*bench.State)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.st)
}

func (w *fakeWork) Session() *session.Session { return w.s }
func (w *fakeWork) State() bench.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.st
}

func (w *fakeWork) SetSplit(at, stop time.Duration) error {
	w.s.AddSplit(session.Split{At: at, Stop: stop, How: "by hand", By: "user"})
	return w.note(fmt.Sprintf("split %v %v", at, stop))
}

func (w *fakeWork) Accept() error {
	sp, ok := w.s.Propose(w.s.Length())
	if !ok {
		return errors.New("no split to propose: " + sp.How)
	}
	w.s.AddSplit(sp)
	return w.note("accept")
}

func (w *fakeWork) Ready(list []string) error {
	if _, err := ready.ParseAll(list); err != nil {
		return err
	}
	w.set(func(s *bench.State) { s.Probes = list })
	return w.note(fmt.Sprintf("ready %q", list))
}

func (w *fakeWork) Pin(rule string) error {
	r, err := session.ParseRule(rule)
	if err != nil {
		return err
	}
	w.s.Pin(r, "user")
	return w.note("pin " + rule)
}

func (w *fakeWork) UndoSplit() error {
	if !w.s.UndoSplit() {
		return errors.New("no move to undo")
	}
	return w.note("undo split")
}

func (w *fakeWork) RedoSplit() error {
	if !w.s.RedoSplit() {
		return errors.New("no move to redo")
	}
	return w.note("redo split")
}

func (w *fakeWork) Mark(text string) error {
	w.s.AddMark(session.Mark{At: w.s.Length(), Kind: session.MarkUser, Text: text})
	return w.note("mark " + text)
}

func (w *fakeWork) Edit(e policy.Edit) error {
	w.s.AddEdit(e)
	return w.note(fmt.Sprintf("edit %s %s %s", e.Op, e.Call, e.Phase))
}

func (w *fakeWork) ChangeAdmin(c session.AdminChange) error {
	if err := w.s.ChangeAdmin(c); err != nil {
		return err
	}
	return w.note("admin " + string(c.Op))
}

func (w *fakeWork) UndoEdit() error {
	if !w.s.UndoEdit() {
		return errors.New("nothing to undo")
	}
	return w.note("undo")
}

func (w *fakeWork) RedoEdit() error {
	if !w.s.RedoEdit() {
		return errors.New("nothing to redo")
	}
	return w.note("redo")
}

func (w *fakeWork) DryRun(on bool) error {
	w.set(func(s *bench.State) {
		s.DryRun, s.WouldDeny = on, nil
		if on {
			s.WouldDeny = []trace.ProcRow{{Pid: 4244, Comm: "helper", ABI: trace.X86_64, Nr: 59, Count: 3}}
		}
	})
	return w.note(fmt.Sprintf("dry run %v", on))
}

func (w *fakeWork) WatchProcesses(on bool) error {
	w.set(func(s *bench.State) { s.ByProcess = on })
	return w.note(fmt.Sprintf("processes %v", on))
}

func (w *fakeWork) Preflight(context.Context, apply.Mode) []apply.Check {
	w.note("preflight")
	return w.checks
}

func (w *fakeWork) become(what string) (bench.Work, error) {
	if err := w.note(what); err != nil {
		return nil, err
	}
	n := newFakeWork(w.State().Item)
	w.mu.Lock()
	w.next = n
	w.mu.Unlock()
	return n, nil
}

func (w *fakeWork) Hold(_ context.Context, auto bool) (bench.Work, error) {
	n, err := w.become(fmt.Sprintf("hold %v", auto))
	if err == nil {
		n.(*fakeWork).set(func(s *bench.State) { s.Applied, s.AutoDeny = bench.HoldBoot, auto })
	}
	return n, err
}

func (w *fakeWork) WatchAgain(context.Context) (bench.Work, error) { return w.become("watch again") }

func (w *fakeWork) Reboot(context.Context) (bench.Work, error) { return w.become("reboot") }

func (w *fakeWork) CrossSplit(within time.Duration) error {
	w.set(func(s *bench.State) { s.Applied = bench.HoldDeny })
	return w.note(fmt.Sprintf("cross %v", within))
}

func (w *fakeWork) KeepHold() error {
	w.set(func(s *bench.State) {
		if s.Hold != nil {
			h := *s.Hold
			h.Until = time.Time{}
			s.Hold = &h
		}
	})
	return w.note("keep")
}

func (w *fakeWork) AskSplit(within time.Duration, a apply.Asking) error {
	w.set(func(s *bench.State) { s.Applied = bench.HoldAsk })
	return w.note(fmt.Sprintf("ask %v %v %v", within, a.Limit, a.Allow))
}

func (w *fakeWork) Answer(q apply.Question, v apply.Verdict, errno int32) error {
	text := fmt.Sprintf("answer %d %s", q.ID, v)
	if errno != 0 {
		text += fmt.Sprint(" ", errno)
	}
	return w.note(text)
}

func (w *fakeWork) Rule(r apply.Rule, forget bool) error {
	return w.note(fmt.Sprintf("rule %+v %v", r, forget))
}

func (w *fakeWork) Late(c apply.LateChoice) error { return w.note("late " + string(c)) }
func (w *fakeWork) Guard(on bool) error           { return w.note(fmt.Sprintf("watchdog %v", on)) }

func (w *fakeWork) UndoHold() error {
	w.set(func(s *bench.State) { s.Applied = bench.HoldOpen })
	return w.note("undo hold")
}

func (w *fakeWork) Seal(context.Context) (apply.Proof, error) {
	return proved, w.note("seal")
}

func (w *fakeWork) Inject(context.Context) (apply.Report, apply.Proof, error) {
	err := w.note("inject")
	if err == nil {
		w.set(func(s *bench.State) { s.Applied = bench.Injected })
	}
	return apply.Report{Processes: 3, Passes: 2}, proved, err
}

func (w *fakeWork) HoldRunning(context.Context) (apply.Report, apply.Proof, error) {
	err := w.note("hold running")
	if err == nil {
		w.set(func(s *bench.State) { s.Applied = bench.HoldOpen })
	}
	return apply.Report{Processes: 3, Passes: 2}, proved, err
}

func (w *fakeWork) Prove(context.Context) (apply.Proof, error) {
	return apply.Proof{Processes: 3, Threads: 7, NoFilter: []int{77}, Text: []string{"Not proved: looked at 7 threads of 3 processes."}}, w.note("prove")
}

func (w *fakeWork) Reload() (string, error) {
	if w.State().Item.Engine != "demo" {
		return "", bench.ErrNotDemo
	}
	if denies(w.State().Applied) {
		return "500: rename: operation not permitted", w.note("reload")
	}
	return "200: reloaded", w.note("reload")
}

func (w *fakeWork) SaveAs(path string) error { return w.note("save " + path) }
func (w *fakeWork) Export(path, format string, ph policy.Phase) ([]string, error) {
	return nil, w.note(fmt.Sprintf("export %s %s %s", path, format, ph))
}

func (w *fakeWork) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed++
	return nil
}

var proved = apply.Proof{OK: true, Processes: 3, Threads: 7, Text: []string{"Proved: 7 threads of 3 processes answer as the policy says."}}

// call parses a call's name.
func call(name string) policy.Call {
	c, err := policy.ParseCall(name)
	if err != nil {
		panic(err)
	}
	return c
}

// fixedSession is twelve seconds of a little server: it boots for 2.3 s, then
// serves, and at 8 s answers an administrative request. Its names are hostile.
func fixedSession() *session.Session {
	s := session.New(session.Meta{Target: session.Target{Engine: "demo", Name: "demo"}, Kernel: "6.1.0", Tool: "speaker test",
		Start: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), StartSeen: true})
	boot := []string{"execve", "brk", "mmap", "openat", "read", "close", "mprotect", "fstat", "arch_prctl", "mkdir", "chown",
		"setgid", "setuid", "setgroups", "socket", "bind", "listen", "clone", "prctl", "pipe2", "dup2", "wait4"}
	run := []string{"accept4", "read", "write", "openat", "fstat", "close", "epoll_wait", "clock_nanosleep"}
	for i := range 120 {
		from := time.Duration(i) * 100 * time.Millisecond
		e := session.Epoch{Start: from, End: from + 100*time.Millisecond}
		add := func(g trace.Group, name string, n uint64) {
			e.Rows = append(e.Rows, session.Row{Group: g, Call: call(name), Count: n, First: from + 10*time.Millisecond, Last: from + 60*time.Millisecond})
		}
		switch {
		case i == 0:
			add(trace.Init, "pivot_root", 1)
		case i <= 22:
			add(trace.Main, boot[(i-1)%len(boot)], uint64(i*3))
			add(trace.Main, "mmap", 5)
		default:
			for k, name := range run {
				add(trace.Main, name, uint64(10+k*7+(i*i)%40))
			}
			if i == 80 {
				add(trace.Main, "rename", 2)
			}
			e.InFlight = []policy.Call{call("epoll_wait")}
		}
		if err := s.AddEpoch(e); err != nil {
			panic(err)
		}
	}
	ms := time.Millisecond
	for _, m := range []session.Mark{
		{At: 110 * ms, Kind: session.MarkStart, Pid: 4242, Comm: "demo-init", Text: "/bin/demo"},
		{At: 1700 * ms, Kind: session.MarkListen, Pid: 4242, Comm: "demo", Text: "tcp 0.0.0.0:8080"},
		{At: 1900 * ms, Kind: session.MarkExec, Pid: 4243, Comm: "hel\x1b[2Jper", Text: "/bin/\u202ehelper"},
		{At: 2310 * ms, Kind: session.MarkListenWait, Pid: 4242, Comm: "demo", Text: "epoll_wait on tcp 0.0.0.0:8080"},
		{At: 8 * time.Second, Kind: session.MarkUser, Text: "administrative request: reload"},
	} {
		s.AddMark(m)
	}
	var xs []session.Sample
	for i := range 60 {
		x := session.Sample{At: 5*time.Second + time.Duration(i)*97*ms, Pid: 4242, Tid: 4242, Group: trace.Main, Call: call(run[i%len(run)]), Comm: "demo", Args: [6]uint64{3, 0x7ffd12345678, 4096}}
		if x.Call == call("openat") {
			x.Path, x.Comm = "/srv/\u65e5\u672c\u8a9e/\x1b]0;owned\x07index.html", "w\u00f6rker\u202e"
		}
		xs = append(xs, x)
	}
	s.AddSamples(xs)
	return s
}

// clock is a clock that tests move.
type clock struct{ t time.Time }

func newClock() *clock                   { return &clock{time.Date(2024, 1, 2, 3, 4, 17, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

// driver runs a model without a terminal: it carries out commands at once, and
// ticks when told to.
type driver struct {
	t     testing.TB
	m     *model
	clock *clock
	quit  bool
}

func drive(t testing.TB, b bench.Backend, o Options) *driver {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c := newClock()
	d := &driver{t: t, m: newModel(ctx, b, o, c.now, func() tea.Cmd { return nil }), clock: c}
	d.run(d.m.Init())
	return d
}
