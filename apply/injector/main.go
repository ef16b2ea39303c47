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
	left     atomic.Bool // the parent is gone, or wants us to stop
	last     []int       // the processes that were listed last
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
			close(w.requests)
			return
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
	case opDump:
		m.Dump, err = w.dump()
	case opListen:
		m.Report, err = w.listen(r)
	default:
		err = errors.New("no such request")
	}
	if err != nil {
		m.Err = err.Error()
	}
	return m
}

var errLeft = errors.New("stopped before the end")

// pids asks for the list of processes. Ours are never among them.
func (w *worker) pids() ([]int, error) {
	if w.left.Load() || w.enc.Encode(message{Ask: true}) != nil {
		return nil, errLeft
	}
	for {
		select {
		case r, ok := <-w.requests:
			if !ok {
				return nil, errLeft
			}
			w.last = without(r.Pids, os.Getpid(), os.Getppid())
			return w.last, nil
		case <-time.After(time.Millisecond):
			ptrace.Reap()
		}
	}
}

// heirs lists the processes that were listed last and what descends from them,
// for when there is nobody to ask.
func (w *worker) heirs() []int {
	var out []int
	for _, pid := range w.last {
		tree, err := proc.Tree(pid)
		if err != nil {
			tree = []int{pid}
		}
		for _, p := range tree {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func without(pids []int, not ...int) []int {
	var out []int
next:
	for _, p := range pids {
		for _, n := range not {
			if p == n {
				continue next
			}
		}
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
