package tui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// frame is the time between two pictures: ten a second are enough for eyes, and
// little for a slow line.
const frame = 100 * time.Millisecond

// model is the one model of the workbench. Its parts are plain structs; what
// touches the target or the disk is done by jobs, and what the screen shows is
// in snap and picker.
type model struct {
	ctx     context.Context
	backend bench.Backend
	opt     Options
	d       *draw
	now     func() time.Time
	later   func() tea.Cmd // asks for the next tick
	w, h    int

	works *works
	queue []job
	busy  *running
	jobs  int

	picker picker
	work   bench.Work // nil: the picker is shown
	snap   *snapshot  // of work; nil until the first one came
	taking bool       // a snapshot is being made
	stale  bool       // the next one must be made anew
	workID int        // which work snap is of: grows with every new one

	live  livePane
	sets  setsPane
	try   tryPane
	marks marksPane
	log   logPane

	focus   paneID // 0: the timeline
	last    paneID // the pane shown while the timeline is in focus
	chosen  marker
	zoom    int
	moved   *session.Split // a split that is being moved
	movedAt time.Time

	dialogs  []*opened
	typing   *input // a filter
	toast    saying
	lastKey  time.Time
	quitting bool
	closeErr error  // what went wrong when quitting
	reloaded string // what the last administrative request said
	// needs is what the administrative request was seen to use, kept over a
	// new boot.
	needs []policy.Call
	told  int // the newest question that was shown by itself
}

func newModel(ctx context.Context, b bench.Backend, o Options, now func() time.Time, later func() tea.Cmd) *model {
	m := &model{ctx: ctx, backend: b, opt: o, d: newDraw(o.ASCII, keymap()), now: now, later: later, w: 80, h: 24,
		works: &works{}, focus: setsID, last: setsID}
	if o.Work != nil {
		m.works.add(o.Work)
		m.setWork(o.Work)
	}
	return m
}

// tick asks for the next picture; taken is a snapshot that was made.
type (
	tick  struct{}
	taken struct {
		work int
		snap *snapshot
	}
)

func next10th() tea.Cmd { return tea.Tick(frame, func(time.Time) tea.Msg { return tick{} }) }

// Init implements tea.Model.
func (m *model) Init() tea.Cmd {
	var first tea.Cmd
	switch {
	case m.work != nil:
		first = m.take()
	case m.opt.Start != "":
		first = m.watch(m.opt.Start, m.opt.Start, m.opt.Boot)
	default:
		first = m.refresh()
	}
	return tea.Batch(first, m.later())
}

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
		m.stale = true
	case tick:
		return m, m.onTick()
	case taken:
		if msg.work == m.workID {
			m.taking = false
			m.sets.follow(m.snap, msg.snap)
			old := m.snap
			m.tellLate(m.snap, msg.snap)
			m.tellUndone(m.snap, msg.snap)
			m.askQuestions(msg.snap)
			m.snap = msg.snap
			m.remember()
			m.tellRecognised(old)
		}
	case asideDone:
		m.stale = true
		if msg.err != nil {
			m.say(bad, msg.title+": "+msg.err.Error())
		} else {
			m.say(good, msg.ok)
		}
	case jobDone:
		return m, m.finished(msg)
	case targets:
		return m, m.listedTargets(msg)
	case tea.KeyPressMsg:
		return m, m.onKey(msg)
	case tea.PasteMsg:
		m.onPaste(msg.Content)
	}
	return m, nil
}

// onTick keeps time: it commits a split that has come to rest, and asks for a
// snapshot.
func (m *model) onTick() tea.Cmd {
	m.d.blink++
	cmds := []tea.Cmd{m.later()}
	if m.moved != nil && m.now().Sub(m.movedAt) > settle {
		cmds = append(cmds, m.commit())
	}
	if m.work != nil && !m.taking {
		cmds = append(cmds, m.take())
	}
	return tea.Batch(cmds...)
}

// take makes a snapshot outside of Update.
func (m *model) take() tea.Cmd {
	m.taking = true
	w, id, now := m.work, m.workID, m.now
	k := wish{columns: columns(m.w), zoom: m.zoom, old: m.snap, fresh: m.stale}
	if m.moved != nil {
		sp := *m.moved
		k.moved = &sp
		k.fresh = true
	}
	m.stale = false
	works := m.works
	return func() tea.Msg {
		done, ok := works.begin()
		if !ok {
			return nil
		}
		defer done()
		return taken{id, take(w, k, now())}
	}
}

// setWork shows a Work, which the picker or a new boot has opened.
func (m *model) setWork(w bench.Work) {
	m.work, m.snap, m.taking, m.stale = w, nil, false, true
	m.workID++
	m.moved, m.zoom, m.reloaded, m.told = nil, 0, "", 0
	m.live = livePane{list: list{filter: m.live.filter}}
}

// remember keeps what the recording knows of the administrative request.
func (m *model) remember() {
	if r := m.snap.reload; len(r.calls) > 0 {
		m.needs = r.calls
	}
}

// tellLate tells of calls that came up in run since the snapshot before.
func (m *model) tellLate(old, fresh *snapshot) {
	if old == nil || old.split.At != fresh.split.At || old.standing == noSplit || fresh.standing == moving || old.standing == moving {
		return // then they are not new, or the split has moved over them
	}
	for _, x := range fresh.late {
		if !slices.ContainsFunc(old.late, func(y session.Late) bool { return y.Call == x.Call }) {
			m.say(warn, "new in run: "+x.String())
		}
	}
}

// say shows a message in the last row and keeps it in the log.
func (m *model) say(l look, text string) {
	m.toast = saying{m.now(), l, text}
	m.log.add(m.now(), l, text)
}

// open puts a dialog on top. byItself: no key of this moment asked for it.
func (m *model) open(g dialog, byItself bool) {
	m.dialogs = append(m.dialogs, &opened{dialog: g, at: m.now(), byItself: byItself})
}

// at is where keys are looked up.
func (m *model) at() where {
	if m.work == nil {
		return inPicker
	}
	return m.focus.place()
}

// onKey takes a key press: to the dialog on top, to the line that is typed, or
// to the key map.
func (m *model) onKey(msg tea.KeyPressMsg) tea.Cmd {
	name, now := msg.String(), m.now()
	last := m.lastKey
	m.lastKey = now
	if name == "ctrl+c" {
		return m.interrupt()
	}
	if m.busyShown() {
		if name == "esc" && !m.busy.cancelled {
			m.busy.cancelled = true
			m.busy.cancel()
		}
		return nil
	}
	if n := len(m.dialogs); n > 0 {
		top := m.dialogs[n-1]
		if !top.listens(now, last) {
			return nil
		}
		a := top.key(name, msg.Text)
		if a.close {
			m.dialogs = m.dialogs[:n-1]
		}
		if a.then != nil {
			return a.then(m)
		}
		return nil
	}
	if m.typing != nil {
		m.typeFilter(name, msg.Text)
		return nil
	}
	return m.do(find(m.d.keys, m.at(), name))
}

// interrupt is ctrl+c: it asks as q does, and does not ask a second time.
func (m *model) interrupt() tea.Cmd {
	if m.quitting || len(m.dialogs) > 0 || m.busy != nil {
		return m.quitNow()
	}
	return m.quit()
}

func (m *model) onPaste(text string) {
	switch n := len(m.dialogs); {
	case n > 0:
		if p, ok := m.dialogs[n-1].dialog.(paster); ok {
			p.paste(text)
		}
	case m.typing != nil:
		m.typing.insert(text)
		m.setFilter(m.typing.String())
	}
}

// busyShown reports whether the box of a running job is on screen. It takes
// the keys from then on.
// But a question goes before it: the job may be waiting for its answer.
func (m *model) busyShown() bool {
	if n := len(m.dialogs); n > 0 {
		if _, ok := m.dialogs[n-1].dialog.(*questionBox); ok {
			return false
		}
	}
	return m.busy != nil && m.busy.long && m.now().Sub(m.busy.since) >= showAfter
}
