package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"speaker/session"
	"speaker/trace"
	"speaker/trace/target"
)

// Next waits for a container to be started whose name, or id, is as pattern says,
// of whatever engine, and watches it from its first call. One that runs already is
// not waited for. Say is called with what the user should know meanwhile, from
// several goroutines.
func (b *Bench) Next(ctx context.Context, pattern string, say func(string)) (Work, error) {
	if err := target.CheckPattern(pattern); err != nil {
		return nil, err
	}
	if err := trace.Supported(); err != nil {
		return nil, err
	}
	tr, err := b.trace(trace.Config{ArmLater: true, Controller: b.controller()})
	if err != nil {
		return nil, fmt.Errorf("wait for %s: %w", pattern, err)
	}
	c := &candidates{pattern: pattern, tracer: tr, say: onceEach(say), number: map[string]int{}}
	t, err := b.await(ctx, c)
	if err != nil {
		tr.Close()
		return nil, err
	}
	w, err := b.open(t, itemOf(t), tr)
	if err != nil {
		tr.Close()
		return nil, err
	}
	if t.RanBefore {
		w.sess.AddMark(session.Mark{Kind: session.MarkRanBefore, Text: "the container was not new"})
	}
	w.beginProbes(nil)
	w.settle(ctx)
	w.follow()
	return w, nil
}

// onceEach leaves out what was said already: an engine that is asked twice fails
// twice.
func onceEach(say func(string)) func(string) {
	var mu sync.Mutex
	said := map[string]bool{}
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if !said[text] {
			said[text] = true
			say(text)
		}
	}
}

// candidates are the containers that may become the target: those that were made
// and not started.
type candidates struct {
	pattern string
	tracer  *trace.Tracer
	say     func(string)

	mu     sync.Mutex
	list   []target.Target
	number map[string]int // by id
}

// offer arms the tracer for a container, if it is called as the pattern says.
// This is what must be quick: the container is about to be started.
func (c *candidates) offer(t target.Target) {
	if !t.Matches(c.pattern) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.number[t.ID]; n > 0 {
		if known := &c.list[n-1]; t.CanStart() && !known.CanStart() { // a list on disk was faster than its engine
			t.RanBefore = known.RanBefore
			*known = t
		}
		return
	}
	if err := c.tracer.Arm(uint32(len(c.list)+1), target.BootNames(t)...); err != nil {
		c.say(fmt.Sprintf("%s is not waited for: %v", t.Ref(), err))
		return
	}
	c.list = append(c.list, t)
	c.number[t.ID] = len(c.list)
}

// taken is the one whose cgroup was made first.
func (c *candidates) taken() (target.Target, bool) {
	n := int(c.tracer.Taken())
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == 0 || n > len(c.list) {
		return target.Target{}, false
	}
	return c.list[n-1], true
}

// missed is one that runs although its cgroup was not seen to be made.
func (c *candidates) missed() (target.Target, bool) {
	c.mu.Lock()
	list := slices.Clone(c.list)
	c.mu.Unlock()
	if len(list) == 0 {
		return target.Target{}, false
	}
	for _, t := range list {
		if t, up := t.Settle(); up {
			return t, c.tracer.Taken() == 0
		}
	}
	return target.Target{}, false
}

// How often is looked whether a container was taken, and whether one was missed.
const (
	takenEvery  = 2 * time.Millisecond
	missedEvery = time.Second
)

// await waits until a candidate is started.
func (b *Bench) await(ctx context.Context, c *candidates) (target.Target, error) {
	hearing, stop := context.WithCancel(ctx)
	engines := target.Find(b.hosts())
	wait := engines.Created(hearing, c.offer, c.say)
	defer wait()
	defer stop()
	// Those that were made before: after it is listened, so that none is between.
	list, problems := engines.List(ctx)
	for _, p := range problems {
		c.say(p)
	}
	for _, t := range list {
		if t.Pid == 0 {
			t.RanBefore = t.State != "created"
			c.offer(t)
		} else if t.Matches(c.pattern) {
			c.say(fmt.Sprintf("%s runs already: it is the next start that is waited for", t.Ref()))
		}
	}
	c.say("waiting for a container named " + c.pattern)
	look, check := time.NewTicker(takenEvery), time.NewTicker(missedEvery)
	defer look.Stop()
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return target.Target{}, fmt.Errorf("no container named %s was started", c.pattern)
		case <-look.C:
			if t, ok := c.taken(); ok {
				return t, nil
			}
		case <-check.C:
			if t, ok := c.missed(); ok {
				return target.Target{}, errors.New("the start of " + t.Ref() + " was missed: its engine told of it too late; it runs (speaker record " + t.Ref() + ")")
			}
		}
	}
}

// settle fills in where a target runs that was taken before its first process,
// once its program has begun. It gives up when that has ended, or ctx does.
func (w *live) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if w.State().Ended || w.closing.Load() {
			return
		}
		begun := slices.ContainsFunc(w.sess.Marks(), func(m session.Mark) bool { return m.Kind == session.MarkStart })
		if !begun {
			continue
		}
		w.mu.Lock()
		t := w.target
		w.mu.Unlock()
		if t, up := t.Settle(); up {
			t.State = "running"
			w.mu.Lock()
			w.target, w.item = t, itemOf(t)
			w.mu.Unlock()
			return
		}
	}
}

// settleTime bounds the wait for a container's program: its runtime may take long.
const settleTime = 10 * time.Second
