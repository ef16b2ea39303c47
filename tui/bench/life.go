package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"speaker/session"
	"speaker/trace"
	"speaker/trace/target"
)

// A recording is of one life of a container. One that is started again by
// somebody else has another process and another cgroup: what it calls then is no
// part of this recording, whose split was found in the life before. That life gets
// a recording of its own, from its first call, for who wants to go over to it. The
// one after that does so only if somebody did: a container that crashes all day
// would fill the disk.

// lifeEvery is how often an engine is asked whether a container that has ended
// runs again.
const lifeEvery = 2 * time.Second

// ErrNoLives is the answer for targets that have one life only.
var ErrNoLives = errors.New("only a container that an engine knows can be followed: nothing else is started again under the same name")

// CheckFollow reports whether a target can be followed into its next life.
func (b *Bench) CheckFollow(ctx context.Context, ref string) error {
	if ref == "demo" || ref == "run" {
		return ErrNoLives
	}
	t, err := b.resolve(ctx, ref)
	if err == nil && !itemOf(t).Container() {
		err = ErrNoLives
	}
	return err
}

// follow is there for the container's next life, if that is wanted.
func (w *live) follow() {
	w.mu.Lock()
	t := w.target
	w.mu.Unlock()
	if !itemOf(t).Container() {
		return
	}
	names := target.BootNames(t)
	if !w.bench.opt.Follow {
		w.tracer.Disarm(names...)
		return
	}
	if err := w.life.Follow(w.nextBegan, names...); err != nil && !w.life.Over() {
		w.problem("should it be started again, that will not be seen: " + err.Error())
	}
}

// Container reports whether an engine knows the target, and may start it again.
func (i Item) Container() bool {
	switch i.Engine {
	case "demo", "run", "cgroup", "process", "unit":
		return false
	}
	return true
}

// nextBegan records the life that has begun.
func (w *live) nextBegan(life *trace.Life) {
	w.mu.Lock()
	if w.closing.Load() {
		w.mu.Unlock()
		life.Close()
		return
	}
	w.bg.Add(1)
	t := w.target
	w.dryRun, w.naming = false, false
	w.mu.Unlock()
	defer w.bg.Done()
	t.Pid, t.CgroupPath, t.Facts, t.State = 0, "", nil, "starting"
	d, err := w.bench.prepare(t, true)
	if err != nil {
		w.problem(fmt.Sprintf("%s was started again, and is not recorded: %v", t.Name, err))
		life.Close()
		return
	}
	n := w.bench.begin(d, t, itemOf(t), w.tracer, life)
	n.beginProbes(w)
	n.sess.AddMark(session.Mark{Kind: session.MarkRanBefore, Text: "the container was not new"})
	n.bg.Go(func() {
		n.settle(context.Background())
		n.adopt() // its keeper may have held it again
		w.mu.Lock()
		defer w.mu.Unlock()
		w.nextLife = n.State().Item.Pid
	})
	w.mu.Lock()
	w.next = n
	w.mu.Unlock()
	w.problem(fmt.Sprintf("%s was started again, not by speaker: this recording is of the life before; the new one is recorded, from its first call", t.Name))
}

// closeNext ends the recording of the next life, if nobody went over to it. Its
// file stays.
func (w *live) closeNext() error {
	w.mu.Lock()
	n := w.next
	w.next = nil
	w.mu.Unlock()
	if n == nil {
		return nil
	}
	return n.Close()
}

// askLife finds out, in the background and now and then, whether the container
// of an ended recording runs again, where its next life was not waited for.
func (w *live) askLife(ctx context.Context) {
	w.mu.Lock()
	t, ask := w.target, w.item.Container() && w.next == nil && w.nextLife == 0 && !w.asking && time.Since(w.asked) > lifeEvery
	w.asking = w.asking || ask
	w.mu.Unlock()
	if !ask {
		return
	}
	w.bg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, lifeEvery)
		defer cancel()
		now, err := target.Find(w.bench.hosts()).Resolve(ctx, t.Ref())
		w.mu.Lock()
		w.asking, w.asked = false, time.Now()
		if err == nil && now.ID == t.ID && now.Pid != 0 && now.Pid != t.Pid && w.next == nil {
			w.nextLife = now.Pid
		}
		pid := w.nextLife
		w.mu.Unlock()
		if pid != 0 {
			w.problem(fmt.Sprintf("%s was started again, not by speaker, and runs (pid %d): this recording is of the life before", t.Name, pid))
		}
	})
}

// WatchAgain implements Work.
func (w *live) WatchAgain(ctx context.Context) (Work, error) {
	w.mu.Lock()
	ref, again, n := w.target.Ref(), w.nextLife, w.next
	w.next = nil
	w.mu.Unlock()
	if n == nil && again == 0 {
		return nil, errors.New("it was not started again")
	}
	if n != nil {
		n.follow()
	} else {
		var err error
		if n, err = w.bench.watchRunning(ctx, ref); err != nil {
			return nil, err
		}
	}
	if err := n.takeOver(w); err != nil {
		n.problem("the edits are not carried over: " + err.Error())
	}
	w.handOver()
	return n, nil
}
