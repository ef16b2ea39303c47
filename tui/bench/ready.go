package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"speaker/session"
	"speaker/trace/ready"
	"speaker/trace/target"
)

// probing is the asking of the readiness probes of one work.
type probing struct {
	socket *ready.Socket // of a command that was started with one; nil elsewhere

	change sync.Mutex // held while probes are named or ended
	mu     sync.Mutex // guards what follows
	named  []ready.Probe
	cancel context.CancelCauseFunc
	wait   sync.WaitGroup
	first  int // the program's first process, once it was seen to start
}

// setupTime is how long a server of an entrypoint's own set-up may live; an answer
// is watched for that long, whether it was of such a one.
const setupTime = time.Minute

func (p *probing) texts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, x := range p.named {
		out = append(out, x.String())
	}
	return out
}

// probesFor are the probes of a new work: those of the one before, or else those
// of the command line, which are for the first target alone.
func (b *Bench) probesFor(old *live) ([]ready.Probe, error) {
	if old != nil {
		return b.parseProbes(old.probing.texts())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asked {
		return nil, nil
	}
	probes, err := b.parseProbes(b.opt.Ready)
	b.asked = err == nil
	return probes, err
}

func (b *Bench) parseProbes(list []string) ([]ready.Probe, error) {
	probes, err := ready.ParseAll(list)
	if err != nil {
		return nil, err
	}
	for _, p := range probes {
		if p.Asks && b.opt.ReadOnly {
			return nil, fmt.Errorf("%s: %w", p.Name, ErrReadOnly)
		}
	}
	return probes, nil
}

// socketFor makes the socket that a command notifies by, if a probe wants it.
func socketFor(probes []ready.Probe) (*ready.Socket, error) {
	if !slices.ContainsFunc(probes, func(p ready.Probe) bool { return p.Notify }) {
		return nil, nil
	}
	return ready.NewSocket()
}

func envOf(s *ready.Socket) []string {
	if s == nil {
		return nil
	}
	return []string{s.Env}
}

// beginProbes asks the probes of a new work.
func (w *live) beginProbes(old *live) {
	probes, err := w.bench.probesFor(old)
	if err != nil {
		w.problem(err.Error())
		return
	}
	w.ask(probes)
}

// Ready implements Work.
func (w *live) Ready(list []string) error {
	if err := w.desk.open(); err != nil {
		return err
	}
	probes, err := w.bench.parseProbes(list)
	if err != nil {
		return err
	}
	w.endProbes("it is asked no longer")
	w.ask(probes)
	return nil
}

// ask begins to ask probes, until they are answered, endProbes, or the limit.
func (w *live) ask(probes []ready.Probe) {
	p := &w.probing
	p.change.Lock()
	defer p.change.Unlock()
	ctx, cancel := context.WithCancelCause(context.Background())
	p.mu.Lock()
	p.named, p.cancel = probes, cancel
	p.mu.Unlock()
	for _, x := range probes {
		if path := w.outputPath(); path != "" {
			x = x.File(path)
		}
		x.Begin()
		w.sess.AddMark(session.Mark{At: w.sess.Length(), Kind: session.MarkProbe, Text: x.Name})
		p.wait.Add(1)
		go func() { defer p.wait.Done(); w.askOne(ctx, x) }()
	}
}

// endProbes ends the asking and says why. It may be called more than once.
func (w *live) endProbes(why string) {
	p := &w.probing
	p.change.Lock()
	defer p.change.Unlock()
	p.mu.Lock()
	cancel := p.cancel
	p.mu.Unlock()
	if cancel != nil {
		cancel(errors.New(why))
		p.wait.Wait()
	}
}

// askOne asks one probe, and marks what comes of it.
func (w *live) askOne(ctx context.Context, p ready.Probe) {
	ctx, cancel := context.WithTimeoutCause(ctx, ready.Limit, fmt.Errorf("it was asked for %v", ready.Limit))
	defer cancel()
	for {
		var at time.Duration
		err := p.Ask(ctx, w.toAsk(), func(a ready.Answer) {
			if a.First {
				a.Said += session.FirstAsking
			}
			at = w.answered(p, a.At, a.Said)
		})
		switch {
		case errors.Is(err, ready.ErrUnsupported):
			w.unready(p.Name + " " + err.Error())
			return
		case err != nil && ctx.Err() != nil:
			w.unready(fmt.Sprintf("%s was not answered: %v (%v)", p.Name, context.Cause(ctx), err))
			return
		case err != nil:
			w.unready(fmt.Sprintf("%s was not answered: %v", p.Name, err))
			return
		case !w.outlived(ctx, p, at):
			return
		}
	}
}

func (w *live) unready(text string) {
	w.sess.AddMark(session.Mark{At: w.sess.Length(), Kind: session.MarkUnready, Text: text})
	w.problem(text)
}

// outlived reports whether the server that answered at at has ended soon after: it
// was one of the set-up, and the next one is to be asked.
//
// Once the split is found, a target that was asked is asked once more: else what it
// calls to answer could have been seen in boot alone.
func (w *live) outlived(ctx context.Context, p ready.Probe, at time.Duration) bool {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	again := p.Asks
	for w.sess.Length() < at+setupTime {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
		if w.sess.Outlived(at) {
			return true
		}
		if again && w.sess.Opinions(w.sess.Length())[0].Found {
			again = false
			once, cancel := context.WithTimeout(ctx, askAgain)
			_ = p.Ask(once, w.toAsk(), func(a ready.Answer) { w.answered(p, a.At, a.Said+", asked once more") })
			cancel()
		}
	}
	return false
}

// askAgain is how long the second asking may take.
const askAgain = 2 * time.Second

// answered marks an answer and returns when it was.
func (w *live) answered(p ready.Probe, at time.Time, said string) time.Duration {
	off := at.Sub(w.sess.Meta().Start)
	w.sess.AddMark(session.Mark{At: off, Kind: session.MarkReady, Text: p.Name + " " + said})
	return off
}

// toAsk is the target for the probes.
func (w *live) toAsk() ready.Target {
	found := func() target.Target {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.target
	}
	t := ready.Target{
		Pid: w.program, Owns: w.owns, Found: found, Socket: w.probing.socket,
		Engine: func() (*target.Docker, error) { return target.Find(w.bench.hosts()).Starter(found()) },
	}
	if m := w.sess.Meta(); m.StartSeen {
		t.Since = m.Start
	}
	return t
}

// program is a process of the program, 0 while it has not begun: of a recording
// from the first call on, the runtime's processes come first, which are in other
// namespaces.
func (w *live) program() int {
	p := &w.probing
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == 0 && !w.sess.Meta().StartSeen {
		w.mu.Lock()
		p.first = w.target.Pid
		w.mu.Unlock()
	}
	if p.first == 0 {
		for _, m := range w.sess.Marks() {
			if m.Kind == session.MarkStart {
				p.first = int(m.Pid)
				break
			}
		}
	}
	pids := w.life.Pids()
	if p.first == 0 || len(pids) == 0 || slices.Contains(pids, p.first) {
		return p.first * min(1, len(pids))
	}
	return pids[0] // it went on in another one
}

func (w *live) owns(pid int) bool { return slices.Contains(w.life.Pids(), pid) }

// outputPath is the file that a command's output goes to, "" if it is none.
func (w *live) outputPath() string {
	out := w.bench.opt.Output
	if w.starter == nil || out == nil {
		return ""
	}
	if st, err := out.Stat(); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	if st, err := os.Stat(out.Name()); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	return out.Name()
}
