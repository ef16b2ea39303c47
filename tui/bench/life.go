package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"speaker/trace/target"
)

// A recording is of one life of a container. One that is started again by
// somebody else while it is watched, or after it ended, has another process and
// another cgroup: what it calls then is no part of this recording, whose split
// was found in the life before.

// lifeEvery is how often an engine is asked whether a container that has ended
// runs again.
const lifeEvery = 2 * time.Second

// oneLife lets an armed tracer follow the container no further than to the end
// of this life.
func (w *live) oneLife(t target.Target) {
	w.tracer.Disarm(target.BootNames(t)...)
}

// isContainer reports whether an engine knows the target.
func isContainer(t target.Target) bool {
	switch t.Engine {
	case "demo", "run", "cgroup", "process", "unit":
		return false
	}
	return true
}

// askLife finds out, in the background and now and then, whether the container
// of an ended recording runs again.
func (w *live) askLife(ctx context.Context) {
	w.mu.Lock()
	t, ask := w.target, isContainer(w.target) && w.nextLife == 0 && !w.asking && time.Since(w.asked) > lifeEvery
	w.asking = w.asking || ask
	w.mu.Unlock()
	if !ask {
		return
	}
	w.bg.Add(1)
	go func() {
		defer w.bg.Done()
		ctx, cancel := context.WithTimeout(ctx, lifeEvery)
		defer cancel()
		now, err := target.Find(w.bench.hosts()).Resolve(ctx, t.Ref())
		w.mu.Lock()
		w.asking, w.asked = false, time.Now()
		if err == nil && now.ID == t.ID && now.Pid != 0 && now.Pid != t.Pid {
			w.nextLife = now.Pid
		}
		pid := w.nextLife
		w.mu.Unlock()
		if pid != 0 {
			w.problem(fmt.Sprintf("%s was started again, not by speaker, and runs (pid %d): this recording is of the life before", t.Name, pid))
		}
	}()
}

// WatchAgain implements Work.
func (w *live) WatchAgain(ctx context.Context) (Work, error) {
	w.mu.Lock()
	ref, again := w.target.Ref(), w.nextLife
	w.mu.Unlock()
	if again == 0 {
		return nil, errors.New("it was not started again")
	}
	n, err := w.bench.watchRunning(ctx, ref)
	if err != nil {
		return nil, err
	}
	w.handOver()
	return n, nil
}
