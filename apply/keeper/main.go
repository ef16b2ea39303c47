package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// controlFD is a connection to whoever started us; it may break at any time.
const controlFD = 3

// comm is what a keeper is called among the processes.
const comm = "speaker-keeper"

// orphaned is how long an exec is still waited for once nobody is there to start it.
const orphaned = 2 * time.Second

// Main is the `_keeper` process.
func Main([]string) int {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGPIPE, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGUSR2)
	_ = os.WriteFile("/proc/self/comm", []byte(comm), 0)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0)
	goOn()
	leaveLogin()
	unix.CloseOnExec(controlFD)
	control := os.NewFile(controlFD, "control")
	var c Config
	dec := json.NewDecoder(control)
	if err := dec.Decode(&c); err != nil {
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // nothing more is sent: this ends when the starter does
		_ = dec.Decode(&struct{}{})
		time.AfterFunc(orphaned, cancel)
	}()
	tell := sync.OnceFunc(func() { control.Close() })
	say := json.NewEncoder(control)
	if err := keep(ctx, c, func(p progress) {
		_ = say.Encode(p)
		if p.Held {
			tell()
		}
	}); err != nil {
		_ = say.Encode(progress{Err: err.Error()})
		return 1
	}
	return 0
}

// handle does one request; last means that the keeper ends after the answer.
func (k *keeping) handle(q request) (r reply, last bool) {
	h := k.now()
	switch q.Op {
	case "status":
	case "exec", "leave":
		r.Err = errText(k.handleLate(q))
	case "inject":
		var err error
		r.Report, err = k.reachAll(context.Background())
		r.Err = errText(err)
	case "deny":
		r.Err = errText(h.cross(Deny, q.Within))
	case "ask":
		if r.Err = errText(h.asking(q.Asking)); r.Err == "" {
			r.Err = errText(h.cross(Ask, q.Within))
		}
	case "answer":
		r.Err = errText(h.answerQuestion(q.ID, q.Verdict, q.Errno))
	case "rule":
		if q.Rule == nil {
			r.Err = "no rule"
			break
		}
		r.Err = errText(h.switchRule(*q.Rule, q.Forget))
	case "keep":
		r.Err = errText(h.keep())
	case "allow":
		h.set(Allow)
	case "watch", "unwatch":
		h.guard(q.Op == "watch")
	case "health":
		r.Err = errText(h.watchHealth(q.Health))
	case "narrow":
		r.Narrow = h.config.Narrow
	case "sealed":
		k.stopCatching()
		h.set(Sealed)
		last = true
	case "end":
		if h.ears.alive() {
			r.Err = ErrTargetLives.Error()
		} else {
			last = true
		}
	default:
		r.Err = fmt.Sprintf("unknown request %q", q.Op)
	}
	r.Status = k.status()
	return r, last
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
