package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/injector"
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

// keep makes the hold and answers for it until it ends.
func keep(ctx context.Context, c Config, say func(progress)) error {
	door, err := listen(c.Dir, c.Name)
	if err != nil {
		return err
	}
	defer door.Close()
	f, report, err := injector.Listen(ctx, c.Pid, c.Insns, func() { say(progress{Ready: true}) })
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := newHold(c)
	if err != nil {
		return err
	}
	defer h.log.close()
	defer h.close()
	if err := h.ears.add(f, c.Pid, FromStart); err != nil {
		return err
	}
	f.Close()
	r := record{Name: c.Name, Pid: c.Pid, Cgroup: c.Cgroup, Keeper: os.Getpid(), Mode: Boot, Specs: c.Specs}
	if err := r.write(c.Dir); err != nil {
		return err
	}
	go h.answer(door)
	say(progress{Held: true, NoNewPrivs: report.NoNewPrivs > 0})
	err = h.serve()
	switch {
	case h.sealed():
		// The record alone tells from now on what stands there. An old one would
		// tell something else.
		r.Mode = Sealed
		if err := r.write(c.Dir); err != nil {
			removeRecord(c.Dir, c.Name)
			return err
		}
		return nil
	case errors.Is(err, errEnded), errors.Is(err, os.ErrClosed):
		h.settle()
		h.log.note(h.status().Mode, "the target has ended")
		r.removeCgroup(cgroupGoes)
		removeRecord(c.Dir, c.Name) // the last: who waits for us reads it
		return nil
	}
	return err // as if it were killed: the record stays
}

// answer serves the socket.
func (h *hold) answer(door *net.UnixListener) {
	for {
		conn, err := door.AcceptUnix()
		if err != nil {
			return
		}
		go h.talk(conn)
	}
}

func (h *hold) talk(conn *net.UnixConn) {
	defer conn.Close()
	if err := checkPeer(conn, h.config.Cgroup); err != nil {
		return
	}
	dec, enc := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var q request
		if dec.Decode(&q) != nil {
			return
		}
		r, last := h.handle(q)
		_ = enc.Encode(r)
		if last {
			// The answer is out: let the main goroutine leave.
			h.ears.interrupt()
			return
		}
	}
}

// handle does one request; last means that the keeper ends after the answer.
func (h *hold) handle(q request) (r reply, last bool) {
	switch q.Op {
	case "status":
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
	case "narrow":
		r.Narrow = h.config.Narrow
	case "sealed":
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
	r.Status = h.status()
	return r, last
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
