package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"speaker/session"
	"speaker/trace"
	"speaker/trace/target"
)

// prepare makes the session of a new recording of t, and its file. That is done
// before anything is done to a target: one is not restarted for a recording
// that cannot be kept.
func (b *Bench) prepare(t target.Target, startSeen bool) (*desk, error) {
	now := time.Now()
	d := newDesk(session.New(metaOf(t, b.opt.Tool, startSeen, now)))
	path, err := b.sessionPath(t.Name, now)
	if err != nil || path == "" {
		return d, err
	}
	if d.writer, err = session.Create(path, d.sess.Meta()); err != nil {
		return nil, err
	}
	d.path = path
	return d, nil
}

// discard removes the file of a recording that came to nothing.
func (b *Bench) discard(d *desk) {
	if d.path == "" {
		return
	}
	_ = d.close()
	_ = os.Remove(d.path)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.named = b.named && d.path != b.opt.SessionFile // the next recording may have it
}

// abandon closes a work that came to nothing.
func (w *live) abandon() {
	w.abandoned = true
	w.Close()
	w.bench.discard(w.desk)
}

// begin starts the recording of a life of a target, whose tracer is open; the work
// closes both.
func (b *Bench) begin(d *desk, t target.Target, item Item, tr *trace.Tracer, life *trace.Life) *live {
	w := &live{desk: d, bench: b, item: item, target: t, tracer: tr, life: life, applied: Nothing, naming: b.opt.ByProcess}
	ctx, cancel := context.WithCancel(context.Background())
	w.stopBg = cancel
	w.rec = session.Record(ctx, d.sess, d.writer, life, session.Proc{}, session.Options{})
	w.bg.Add(1)
	go func() { defer w.bg.Done(); w.watch(ctx) }()
	w.bg.Go(func() { // it may be slow to answer
		if v := target.Find(b.hosts()).Version(ctx, t); v != "" {
			d.sess.SetEngine(v)
		}
	})
	return w
}

// trace opens a tracer, with what the command line says of all of them.
func (b *Bench) trace(c trace.Config) (*trace.Tracer, error) {
	c.SampleRate, c.ByProcess = b.opt.SampleRate, b.opt.ByProcess
	return trace.Open(c)
}

// open prepares and begins a recording.
func (b *Bench) open(t target.Target, item Item, tr *trace.Tracer) (*live, error) {
	d, err := b.prepare(t, tr.StartSeen())
	if err != nil {
		return nil, err
	}
	return b.begin(d, t, item, tr, tr.Life()), nil
}

// takeOver carries the edits of the recording before over into this one, and the
// rule that splits it.
func (w *live) takeOver(old *live) error {
	if err := w.keepPin(old.sess); err != nil {
		return err
	}
	edits := old.sess.Edits()
	for _, e := range edits {
		if err := w.Edit(e); err != nil {
			return err
		}
	}
	if n := len(edits); n > 0 {
		w.problem(fmt.Sprintf("edits carried over from the recording before: %d", n))
	}
	return nil
}
