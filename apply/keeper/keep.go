package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"speaker/apply/injector"
	"speaker/trace/proc"
	"speaker/trace/target"
)

// keeping is a keeper at work: on one life of a target after the other, where who comes
// in is caught.
type keeping struct {
	config Config
	life   atomic.Pointer[hold]
	late   *late // nil: nobody comes in from outside
	log    *journal
	quit   chan struct{} // told once, between two lives: leave
	reach  sync.Mutex    // one injection at a time
}

func (k *keeping) now() *hold { return k.life.Load() }

// keep makes the hold and answers for it until it ends.
func keep(ctx context.Context, c Config, say func(progress)) error {
	k := &keeping{config: c, log: newJournal(), quit: make(chan struct{}, 1)}
	if c.Entries != nil {
		k.late = newLate(c, k.now)
		defer k.late.stop()
	}
	switch {
	case c.Runs:
		return k.inject(ctx, say)
	case c.Pid == 0:
		return k.await(ctx, say)
	}
	door, err := listen(c.Dir, c.Name)
	if err != nil {
		return err
	}
	defer door.Close()
	f, report, err := injector.Listen(ctx, c.Pid, c.Insns, func() { say(progress{Ready: true}) })
	if err != nil {
		return err
	}
	return k.serve(program{pid: c.Pid, listener: f, noNewPrivs: report.NoNewPrivs > 0}, func() (*net.UnixListener, error) { return door, nil }, say)
}

// await catches the program of a container that an engine starts. Until it is caught
// nothing is done to anybody, and everything that can fail has been tried.
func (k *keeping) await(ctx context.Context, say func(progress)) error {
	c := k.config
	if err := prepare(c.Dir, c.Name); err != nil {
		return err
	}
	if err := k.late.start(); err != nil {
		return err
	}
	say(progress{Ready: true})
	select {
	case <-ctx.Done():
		return errors.New("nobody waits for it any more: it is not held")
	case p := <-k.late.programs:
		if p.err != nil {
			return p.err
		}
		return k.serve(p, func() (*net.UnixListener, error) { return listenWhenFree(c.Dir, c.Name) }, say)
	}
}

// serve answers for a program, and for those of its target's later lives. What it asks
// is answered from now on, whatever becomes of the door.
func (k *keeping) serve(p program, open func() (*net.UnixListener, error), say func(progress)) error {
	h, err := k.begin(p)
	if err != nil {
		return err
	}
	ended := k.run(h)
	door, err := open()
	if err != nil {
		say(progress{Err: "it is held, but cannot be switched: " + err.Error()})
		return <-ended
	}
	defer door.Close()
	k.log.begin(journalPath(k.config.Dir, k.config.Name))
	defer k.log.close()
	if err := k.record().write(k.config.Dir); err != nil {
		say(progress{Err: "it is held, but no later speaker will know what stands there: " + err.Error()})
	}
	go k.answer(door)
	say(progress{Held: true, Pid: p.pid, NoNewPrivs: p.noNewPrivs})
	return k.end(<-ended)
}

// run answers, from the first life to the last.
func (k *keeping) run(h *hold) (ended chan error) {
	ended = make(chan error, 1)
	go func() { ended <- k.lives(h) }()
	return ended
}

// end leaves behind what a hold does that has ended so.
func (k *keeping) end(err error) error {
	defer k.now().close()
	r := k.record()
	switch {
	case k.now().sealed():
		// The record alone tells from now on what stands there. An old one would
		// tell something else.
		r.Mode = Sealed
		if err := r.write(k.config.Dir); err != nil {
			removeRecord(k.config.Dir, k.config.Name)
			return err
		}
		return nil
	case errors.Is(err, errEnded), errors.Is(err, os.ErrClosed):
		r.removeCgroup(cgroupGoes)
		removeRecord(k.config.Dir, k.config.Name) // the last: who waits for us reads it
		return nil
	}
	return err // as if it were killed: the record stays
}

// begin takes up a life.
func (k *keeping) begin(p program) (*hold, error) {
	c := k.config
	c.Pid = p.pid
	if c.Entries != nil {
		if t, err := target.FromPid(p.pid); err == nil {
			c.Cgroup = t.CgroupPath
		}
	}
	defer p.listener.Close()
	h, err := k.newHold(c)
	if err != nil {
		return nil, err
	}
	if err := h.ears.add(p.listener, p.pid, FromStart); err != nil {
		h.close()
		return nil, err
	}
	k.life.Store(h)
	return h, nil
}

func (k *keeping) newHold(c Config) (*hold, error) {
	h, err := newHold(c, k.log)
	if err == nil && k.late != nil {
		h.late = k.late
	}
	return h, err
}

// lives answers for one life after the other.
func (k *keeping) lives(h *hold) error {
	for {
		err := h.serve()
		told := errors.Is(err, os.ErrClosed) // of the end, before we saw it
		if !told && !errors.Is(err, errEnded) || h.sealed() {
			return err
		}
		h.ears.interrupt() // nobody receives any more: what still comes is not taken
		h.noteEnd()
		if told {
			return err
		}
		next, err := k.nextLife(h)
		if err != nil {
			return err
		}
		h.close()
		h = next
	}
}

// nextLife waits for the target to be started again, by whomever. It is booted then, so
// that what its boot needs is let through, and rules for all its processes stay.
func (k *keeping) nextLife(h *hold) (*hold, error) {
	if k.late == nil || !k.late.state().Catching || k.config.Runs { // its cgroup is of one life
		return nil, errEnded
	}
	for over := time.After(AgainWithin); ; {
		select {
		case p := <-k.late.programs:
			if p.err != nil {
				k.log.note(Boot, "started again: "+p.err.Error())
				return nil, errEnded
			}
			next, err := k.begin(p)
			if err != nil {
				return nil, err
			}
			next.inherit(h)
			k.log.note(Boot, fmt.Sprintf("started again (pid %d), and held again: in boot", p.pid))
			_ = k.record().write(k.config.Dir)
			return next, nil
		case <-k.quit:
			return nil, errEnded
		case <-over:
			return nil, errEnded
		}
	}
}

// record is what this keeper leaves for speakers to come.
func (k *keeping) record() record {
	c := k.now().config
	var began uint64
	if k.late != nil {
		began, _, _ = proc.Began(c.Pid)
	}
	return record{Began: began, Name: c.Name, Label: c.Label, Pid: c.Pid, Cgroup: c.Cgroup, Own: c.Own, Runs: c.Runs, Keeper: os.Getpid(), Mode: Boot, Specs: c.Specs}
}

// status is that of the present life.
func (k *keeping) status() Status {
	s := k.now().status()
	s.Label = k.config.Label
	if k.late != nil {
		s.Late = k.late.state()
	}
	return s
}

func (k *keeping) stopCatching() {
	if k.late != nil {
		k.late.stop()
	}
}

// handleLate does what is asked about those who come in from outside. After "leave"
// nobody is caught any more, the program of a next life neither.
func (k *keeping) handleLate(q request) error {
	if k.late == nil {
		return ErrNobodyComes
	}
	if q.Op == "exec" {
		return k.late.choose(q.Late)
	}
	k.late.stop()
	k.leave()
	return nil
}

// leave ends the wait for a next life.
func (k *keeping) leave() {
	select {
	case k.quit <- struct{}{}:
	default:
	}
}

// answer serves the socket.
func (k *keeping) answer(door *net.UnixListener) {
	for {
		conn, err := door.AcceptUnix()
		if err != nil {
			return
		}
		go k.talk(conn)
	}
}

func (k *keeping) talk(conn *net.UnixConn) {
	defer conn.Close()
	if err := checkPeer(conn, k.now().config.Cgroup); err != nil {
		return
	}
	dec, enc := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var q request
		if dec.Decode(&q) != nil {
			return
		}
		r, last := k.handle(q)
		_ = enc.Encode(r)
		if last {
			// The answer is out: let the main goroutine leave.
			k.now().ears.interrupt()
			k.leave()
			return
		}
	}
}
