package tui

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/tui/bench"
)

// job is something that is done outside of Update. Jobs run one after the
// other, in the order in which they were asked for, so that two edits made
// quickly are made in that order.
type job struct {
	title string
	long  bool // may take seconds: a box shows that it runs, and esc cancels it
	// run does it. What it returns is called in Update, when err is nil.
	run func(ctx context.Context) (then func(m *model) tea.Cmd, err error)
	// otherwise, if any, is called in Update when err is not nil.
	otherwise func(m *model) tea.Cmd
}

// jobDone is the message that a job has ended.
type jobDone struct {
	id   int
	then func(m *model) tea.Cmd
	err  error
}

// running is the job at work.
type running struct {
	job
	id        int
	since     time.Time
	cancel    context.CancelFunc
	cancelled bool
}

// showAfter is how long a job runs before its box shows: most are done sooner.
const showAfter = 250 * time.Millisecond

// enqueue asks for a job.
func (m *model) enqueue(j job) tea.Cmd {
	m.queue = append(m.queue, j)
	return m.nextJob()
}

// nextJob starts the job that is next, if none is running.
func (m *model) nextJob() tea.Cmd {
	if m.busy != nil || len(m.queue) == 0 {
		return nil
	}
	j := m.queue[0]
	m.queue = m.queue[1:]
	m.jobs++
	id := m.jobs
	ctx, cancel := context.WithCancel(m.ctx)
	m.busy = &running{job: j, id: id, since: m.now(), cancel: cancel}
	works := m.works
	return func() tea.Msg {
		defer cancel()
		done, ok := works.begin()
		if !ok {
			return nil
		}
		defer done()
		then, err := j.run(ctx)
		return jobDone{id, then, err}
	}
}

// finished takes the end of a job, and starts the next one.
func (m *model) finished(msg jobDone) tea.Cmd {
	if m.busy == nil || m.busy.id != msg.id {
		return nil
	}
	b := m.busy
	m.busy = nil
	var cmds []tea.Cmd
	switch {
	case msg.err != nil:
		m.failed(b, msg.err)
		if b.otherwise != nil {
			cmds = append(cmds, b.otherwise(m))
		}
	case msg.then != nil:
		cmds = append(cmds, msg.then(m))
	}
	m.stale = true
	return tea.Batch(append(cmds, m.nextJob())...)
}

// failed tells that a job did not work: a long one in a box, since its error
// has more to say than fits the last row.
func (m *model) failed(b *running, err error) {
	if b.cancelled {
		m.say(warn, b.title+": cancelled")
		return
	}
	m.say(bad, b.title+": "+err.Error())
	if b.long || width(err.Error())+width(b.title) > m.w-4 {
		m.open(&notice{title: b.title + " did not work", lines: []line{{bad, err.Error()}}}, true)
	}
}

// quick enqueues what returns at once, and says ok when it worked.
func (m *model) quick(title, ok string, run func() error) tea.Cmd {
	return m.enqueue(job{title: title, run: func(context.Context) (func(*model) tea.Cmd, error) {
		if err := run(); err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			if ok != "" {
				m.say(good, ok)
			}
			return nil
		}, nil
	}})
}

// asideDone is the message that what was done aside has ended.
type asideDone struct {
	title, ok string
	err       error
}

// aside does at once what must not wait for the job at work.
func (m *model) aside(title, ok string, run func() error) tea.Cmd {
	works := m.works
	return func() tea.Msg {
		done, open := works.begin()
		if !open {
			return nil
		}
		defer done()
		return asideDone{title, ok, run()}
	}
}

// works keeps every Work that was opened until it is closed, whatever happens
// to the screen meanwhile, and knows which jobs are under way.
type works struct {
	mu      sync.Mutex
	open    []bench.Work
	closing bool
	jobs    sync.WaitGroup
}

// begin is for what a command does, to be called when it is at work: a command
// that was asked for in the last moment is never run. There is no beginning any
// more once close was called.
func (w *works) begin() (done func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return nil, false
	}
	w.jobs.Add(1)
	return w.jobs.Done, true
}

// add notes a Work that now has to be closed.
func (w *works) add(x bench.Work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = append(w.open, x)
}

// drop forgets a Work that was closed, or that ended by becoming another.
func (w *works) drop(x bench.Work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, o := range w.open {
		if o == x {
			w.open = append(w.open[:i], w.open[i+1:]...)
			return
		}
	}
}

// close waits for the jobs, for a while, and closes what is open. The context
// of the jobs must have been cancelled.
func (w *works) close(patience time.Duration) error {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	waited := make(chan struct{})
	go func() { w.jobs.Wait(); close(waited) }()
	select {
	case <-waited:
	case <-time.After(patience):
	}
	return w.closeOpen()
}

// closeOpen closes what is open.
func (w *works) closeOpen() error {
	w.mu.Lock()
	open := w.open
	w.open = nil
	w.mu.Unlock()
	var first error
	for _, x := range open {
		if err := x.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
