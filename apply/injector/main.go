package injector

import (
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/ptrace"
	"speaker/trace/proc"
)

// worker is the process' state while it works.
type worker struct {
	enc      *json.Encoder
	requests chan request
	left     atomic.Bool      // the parent is gone, or nobody waits for us any more
	alone    atomic.Bool      // the parent is gone, or tells no more
	last     []ptrace.Process // what was listed last
}

// Main is the `_inject` process.
func Main([]string) int {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGPIPE, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGUSR2)
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20) // of this thread: stops are to be short
	_ = os.WriteFile("/proc/self/comm", []byte("speaker-inject"), 0)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0)
	unix.CloseOnExec(controlFD)
	unix.CloseOnExec(passFD)
	control := os.NewFile(controlFD, "control")
	w := &worker{enc: json.NewEncoder(control), requests: make(chan request, 1)}
	go w.read(control)
	r, ok := <-w.requests
	if !ok {
		return 1
	}
	m := w.do(r)
	ptrace.ReapFor(100 * time.Millisecond)
	if w.enc.Encode(m) != nil {
		return 1
	}
	return 0
}

func (w *worker) read(control *os.File) {
	dec := json.NewDecoder(control)
	for {
		var r request
		if dec.Decode(&r) != nil {
			w.left.Store(true)
			w.alone.Store(true)
			close(w.requests)
			return
		}
		if r.Stop {
			w.left.Store(true)
			continue
		}
		w.requests <- r
	}
}

func (w *worker) do(r request) message {
	m := message{Done: true}
	var err error
	switch r.Op {
	case opInstall:
		m.Report, err = w.install(r.Insns)
	case opHold:
		m.Report, err = w.hold(r.Insns)
	case opDump:
		m.Dump, err = w.dumpAll()
	case opListen:
		m.Report, err = w.listen(r)
	case opCatch:
		err = w.catch(r.Catching)
	default:
		err = errors.New("no such request")
	}
	if err != nil {
		m.Err = err.Error()
	}
	return m
}

var errLeft = errors.New("stopped before the end")

// ask asks for the list of processes, and tells what was done so far. Ours are
// never among them. The error is errLeft when there is nobody to ask.
func (w *worker) ask(so Report) ([]ptrace.Process, error) {
	if w.enc.Encode(message{Ask: true, Report: so}) != nil {
		return nil, errLeft
	}
	for {
		select {
		case r, ok := <-w.requests:
			if !ok {
				return nil, errLeft
			}
			w.last = w.listed(r.Processes)
			return w.last, nil
		case <-time.After(time.Millisecond):
			ptrace.Reap()
		}
	}
}

// listed takes ours out of a list, and asks again after what the client could not.
func (w *worker) listed(all []ptrace.Process) []ptrace.Process {
	var out []ptrace.Process
	for _, p := range all {
		if p.Pid == os.Getpid() || p.Pid == os.Getppid() {
			continue
		}
		if p.Start == 0 {
			out = append(out, identified([]int{p.Pid})...)
			continue
		}
		out = append(out, p)
	}
	return out
}

// heirs lists the processes that were listed last and what descends from them,
// for when there is nobody to ask. One that was given another parent, and comes
// of a process without the filter, is not found that way.
func (w *worker) heirs() ([]ptrace.Process, error) {
	var out []ptrace.Process
	for _, old := range w.last {
		if now, err := ptrace.Identify(old.Pid); err != nil || now != old {
			continue // it ended, and the number may be anybody's
		}
		pids, err := proc.Tree(old.Pid)
		if err != nil {
			return nil, err
		}
		for _, p := range identified(pids) {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// identified adds to pids what tells them from later owners of the numbers. It
// is called right after they were listed. One that lives and cannot be asked
// stays in the list, without a start: work on it fails, and is told.
func identified(pids []int) []ptrace.Process {
	out := make([]ptrace.Process, 0, len(pids))
	for _, pid := range pids {
		p, err := ptrace.Identify(pid)
		if errors.Is(err, ptrace.ErrGone) {
			continue
		}
		p.Pid = pid
		out = append(out, p)
	}
	return out
}

func (w *worker) listen(r request) (Report, error) {
	watch, err := ptrace.WatchExec(r.Pid)
	if err != nil {
		return Report{}, err
	}
	if err := w.enc.Encode(message{Ready: true}); err != nil {
		watch.Close()
		return Report{}, err
	}
	t, err := watch.Exec(w.left.Load)
	if err != nil {
		return Report{}, err
	}
	res, err := t.InstallListener(r.Insns, func(fd int) error { return send(passFD, fd) })
	rep := Report{Passes: 1, Stops: []time.Duration{res.Stopped}}
	if res.NoNewPrivs {
		rep.NoNewPrivs = 1
	}
	if err == nil {
		rep.Processes = 1
	}
	return rep, err
}
