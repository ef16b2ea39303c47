package keeper

import (
	"context"
	"errors"
	"fmt"

	"speaker/apply/injector"
	"speaker/trace/target"
)

// inject makes a hold of a target that runs: a filter with a listener is put into each of
// its processes. Whoever has it is answered for before it goes on, and everything is let
// through until somebody says otherwise.
func (k *keeping) inject(ctx context.Context, say func(progress)) error {
	c := k.config
	door, err := listen(c.Dir, c.Name)
	if err != nil {
		return err
	}
	defer door.Close()
	h, err := k.newHold(c)
	if err != nil {
		return err
	}
	h.mode = Allow
	k.life.Store(h)
	if k.late != nil {
		if err := k.late.start(); err != nil { // it is held all the same
			k.late.missing(err)
		}
	}
	done := h.ears.await()
	ended := k.run(h)
	k.log.begin(journalPath(c.Dir, c.Name))
	defer k.log.close()
	// Before the first filter: whatever becomes of us, it is known what stands there.
	err = k.record().write(c.Dir)
	var r injector.Report
	if err == nil {
		go k.answer(door)
		r, err = k.reachAll(ctx)
	}
	if err == nil && r.Processes == 0 {
		err = errors.New("the target has no process")
	}
	if h.ears.count() == 0 && !r.Unsure {
		done()
		_ = k.end(<-ended)
		return err
	}
	h.note(fmt.Sprintf("put into %d processes that ran; what boot alone needs is let through", r.Processes))
	say(progress{Held: true, Pid: c.Pid, NoNewPrivs: r.NoNewPrivs > 0, Report: r, Err: errText(err)})
	done()
	return k.end(<-ended)
}

// reachAll puts the filter into all processes that do not have it. When the injector is
// killed, another one goes on, once.
func (k *keeping) reachAll(ctx context.Context) (injector.Report, error) {
	k.reach.Lock()
	defer k.reach.Unlock()
	h := k.now()
	if !k.config.Runs {
		return injector.Report{}, errors.New("it was held from its start: all that it started has the filter")
	}
	defer h.ears.await()()
	take := h.ears.taker(FromInject)
	r, err := injector.Hold(ctx, k.pids, k.config.Insns, take)
	if errors.Is(err, injector.ErrDied) {
		h.note("the injector was killed, and another one goes on")
		first := r
		r, err = injector.Hold(ctx, k.pids, k.config.Insns, take)
		r.Stops, r.NoNewPrivs, r.Died = append(first.Stops, r.Stops...), r.NoNewPrivs+first.NoNewPrivs, r.Died+first.Died
	}
	return r, err
}

// pids lists the processes of a target that runs.
func (k *keeping) pids() ([]int, error) {
	t := target.Target{Engine: "cgroup", CgroupPath: k.config.Cgroup}
	if k.config.Cgroup == "" {
		t = target.Target{Engine: "process", Pid: k.config.Pid}
	}
	return t.Pids()
}
