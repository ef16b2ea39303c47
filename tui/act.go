package tui

import (
	"context"
	"errors"
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"speaker/tui/bench"
)

// do carries out an action: by key, or from the palette.
func (m *model) do(a action) tea.Cmd {
	if bindingOf(m.d.keys, a).changes && m.opt.ReadOnly {
		m.say(warn, "not with --readonly: it only watches and edits")
		return nil
	}
	switch a {
	case actQuit:
		return m.quit()
	case actHelp:
		m.open(&notice{title: "Keys", lines: helpLines(m.d.keys, m.at(), m.opt.ReadOnly)}, false)
		return nil
	case actPalette:
		m.open(newPalette(m.d.keys, m.at()), false)
		return nil
	case actFilter:
		in := newInput(m.list().filter)
		m.typing = &in
		return nil
	case actCopy, actCopyAll:
		return m.copy(a == actCopyAll)
	}
	if m.work == nil {
		return m.doPicker(a)
	}
	if m.snap == nil { // nothing to act on yet
		if a == actBack {
			return m.back()
		}
		return nil
	}
	return m.doBench(a)
}

func (m *model) doPicker(a action) tea.Cmd {
	switch a {
	case actRefresh:
		return m.refresh()
	case actBack:
		m.picker.filter = ""
	case actOther:
		m.open(&form{title: "Watch another target", yes: "Watch",
			note:   "A pid (with all its descendants, now and later), the absolute path of a cgroup, a unit's name, or a container's name or id.",
			fields: []formField{{label: "target"}},
			then:   func(m *model, v []string) tea.Cmd { return m.watch(v[0], v[0], false) }}, false)
	case actWatch, actBoot:
		t, ok := m.picker.chosen()
		switch {
		case !ok:
		case a == actBoot && !t.CanBoot:
			m.say(warn, "it cannot be booted from here; speaker record --next NAME waits for its next start")
		case a == actBoot && up(t):
			return m.askBoot(t, func(m *model) tea.Cmd { return m.watch(t.Ref, t.Name, true) })
		default:
			return m.watch(t.Ref, t.Name, a == actBoot)
		}
	default:
		m.count()
		m.picker.do(a)
	}
	return nil
}

// doBench carries out what the workbench as a whole can do.
func (m *model) doBench(a action) tea.Cmd {
	switch a {
	case actBack:
		return m.back()
	case actNextPane, actPrevPane, actPane1, actPane2, actPane3, actPane4, actPane5, actTimeline:
		m.goTo(a)
		return nil
	case actUserMark, actSave, actExport, actUndo, actRedo, actReboot, actWatchAgain:
		return m.doSession(a)
	case actAccept, actSplitLeft, actSplitRight, actStopLeft, actStopRight, actZoomIn, actZoomOut,
		actFineLeft, actFineRight, actMarker, actNextMark, actPrevMark, actSplitHere, actUndoSplit, actRedoSplit, actPin, actSplitCost:
		return m.doSplit(a)
	case actDryRun, actPreflight, actHold, actAutoHold, actCross, actAsk, actQuestion, actRule, actKeepHold, actUndoHold, actGuard, actLate, actSeal, actHoldRunning, actInject, actProve, actReload:
		return m.doTry(a)
	case actToggleRun, actToggleBoot, actToggleFamily, actWhy, actSort, actReverse, actOnlyRemoved, actWho, actStopPhase, actExecPhase, actAnswers:
		return m.doSets(a)
	case actAdminFrom, actAdminTo, actAdminTake, actAdminDrop, actAdminMove, actAdminPhase:
		return m.doAdmin(a)
	case actPause:
		m.live.pause(m.snap)
		return nil
	case actEvidence:
		m.open(&notice{title: "What the detectors think", lines: opinionLines(m.snap)}, false)
		return nil
	case actReady:
		m.askReady()
		return nil
	}
	return m.move(a)
}

// goTo changes the pane in focus.
func (m *model) goTo(a action) {
	switch a {
	case actNextPane:
		m.focus = (m.focus + 1) % panes
	case actPrevPane:
		m.focus = (m.focus + panes - 1) % panes
	case actTimeline:
		m.focus = timelineID
	default:
		m.focus = liveID + paneID(a-actPane1)
	}
	if m.focus != timelineID {
		m.last = m.focus
	}
}

// list is the list in focus.
func (m *model) list() *list {
	if m.work == nil {
		return &m.picker.list
	}
	switch m.shown() {
	case liveID:
		return &m.live.list
	case setsID:
		return &m.sets.list
	case testID:
		return &m.try.list
	case marksID:
		return &m.marks.list
	}
	return &m.log.list
}

// move moves the cursor, or the window of a text.
func (m *model) move(a action) tea.Cmd {
	m.count()
	switch m.shown() {
	case liveID:
		m.live.do(a)
	case testID, logID:
		m.list().scroll(a)
	default:
		m.list().do(a)
	}
	return nil
}

// count gives the list in focus its present number of rows, which may have
// changed since it was drawn.
func (m *model) count() {
	if r, l := m.listRows(); !r.noLine {
		shown, _ := r.keep(l.filter)
		l.sync(shown.n, max(l.page, 1))
	}
}

// back goes one level back; it never quits.
func (m *model) back() tea.Cmd {
	switch l := m.list(); {
	case l.filter != "":
		m.setFilter("")
	case m.moved != nil:
		m.moved, m.stale = nil, true
		m.say(plainLine, "the split stays where it was")
	case m.focus == timelineID:
		m.focus = m.last
	case m.opt.Work != nil:
		m.say(plainLine, "q quits")
	default:
		return m.askLeave()
	}
	return nil
}

// typeFilter takes a key while a filter is typed.
func (m *model) typeFilter(name, text string) {
	switch name {
	case "enter":
		m.typing = nil
		return
	case "esc":
		m.typing = nil
		m.setFilter("")
		return
	case "up", "down", "pgup", "pgdown":
		m.list().do(textKey(name, true))
		return
	}
	if m.typing.key(name, text) {
		m.setFilter(m.typing.String())
	}
}

func (m *model) setFilter(f string) {
	l := m.list()
	l.filter = f
	l.cursor, l.top = 0, 0
	if l == &m.live.list {
		m.live.loose = false
	}
}

// watch opens a target.
func (m *model) watch(ref, name string, boot bool) tea.Cmd {
	title := "watch " + name
	if boot {
		title = "boot " + name + " and watch it from its first call"
	}
	backend, works := m.backend, m.works
	return m.enqueue(job{title: title, long: true, otherwise: (*model).refresh, run: func(ctx context.Context) (func(*model) tea.Cmd, error) {
		w, err := backend.Watch(ctx, ref, boot)
		if err != nil {
			return nil, err
		}
		works.add(w)
		if ctx.Err() != nil { // cancelled in the last moment
			works.drop(w)
			return nil, errors.Join(ctx.Err(), w.Close())
		}
		return func(m *model) tea.Cmd {
			m.needs = nil
			m.setWork(w)
			return m.take()
		}, nil
	}})
}

// become replaces the work by the one that f makes of it.
func (m *model) become(title string, f func(context.Context) (bench.Work, error)) tea.Cmd {
	old, works := m.work, m.works
	return m.enqueue(job{title: title, long: true, run: func(ctx context.Context) (func(*model) tea.Cmd, error) {
		w, err := f(ctx)
		if err != nil && !errors.Is(err, bench.ErrNotHeld) {
			return nil, err
		}
		works.drop(old)
		works.add(w)
		return func(m *model) tea.Cmd {
			m.setWork(w)
			if err != nil {
				m.say(bad, title+": "+err.Error())
			} else {
				m.say(good, title+": done; this is a new recording")
			}
			return m.take()
		}, nil
	}})
}

// leave closes the work and goes back to the list.
func (m *model) leave() tea.Cmd {
	w, works := m.work, m.works
	return tea.Batch(m.commit(), m.enqueue(job{title: "close " + m.name(), long: true, run: func(context.Context) (func(*model) tea.Cmd, error) {
		err := w.Close()
		works.drop(w)
		return func(m *model) tea.Cmd {
			m.work, m.snap, m.taking, m.moved = nil, nil, false, nil
			m.workID++
			if err != nil {
				m.say(bad, "close: "+err.Error())
			}
			return m.refresh()
		}, nil
	}}))
}

// name is the target's name for a title.
func (m *model) name() string {
	if m.snap == nil {
		return "it"
	}
	return m.snap.state.Item.Name
}

// quit asks when quitting loses or leaves something, and else quits.
func (m *model) quit() tea.Cmd {
	lines := m.leaving()
	if len(lines) == 0 {
		return m.quitNow()
	}
	m.open(&confirm{title: "Quit?", lines: lines, yes: "Quit", then: func(m *model) tea.Cmd { return m.quitNow() }}, false)
	return nil
}

// leaving says what ends, stays or is lost when the work is closed; nothing
// when there is nothing to say.
func (m *model) leaving() []line {
	if m.work == nil || m.snap == nil {
		return nil
	}
	s := m.snap.state
	var out []line
	if s.Mode == bench.Live && s.Recording == "" {
		out = append(out, say(warn, "The recording is in memory only: it is lost unless you save it first (s)."))
	}
	if s.Unsaved {
		out = append(out, say(warn, "What you decided is in no file: it is lost unless you save it first (s)."))
	}
	if s.RecordErr != "" {
		out = append(out, say(bad, "The session file is not complete: %s. Save it elsewhere first (s).", s.RecordErr))
	}
	switch {
	case s.Ended:
	case s.Ends && s.Item.Engine == "run":
		out = append(out, say(warn, "The command %s was started by speaker, and ends with this.", s.Item.Name))
	case s.Applied == bench.HoldBoot, s.Applied == bench.HoldDeny, s.Applied == bench.HoldAsk, s.Applied == bench.HoldOpen:
		out = append(out, say(warn, "A hold stands on %s (%s). Its keeper goes on without this screen; watch the target again to go on with it.", s.Item.Name, s.Applied))
	}
	return out
}

// quitNow closes the work and ends the program. What was asked for and takes no
// time (an edit) is done first. Asked twice, it does not wait.
func (m *model) quitNow() tea.Cmd {
	if m.quitting {
		return tea.Quit
	}
	m.quitting = true
	m.dialogs = nil
	if m.busy != nil {
		m.busy.cancel()
	}
	m.queue = slices.DeleteFunc(m.queue, func(j job) bool { return j.long })
	commit := m.commit()
	works := m.works
	return tea.Batch(commit, m.enqueue(job{title: "finish", long: true, run: func(context.Context) (func(*model) tea.Cmd, error) {
		err := works.closeOpen()
		return func(m *model) tea.Cmd {
			m.closeErr = err
			return tea.Quit
		}, nil
	}}))
}

// askLeave goes back to the list of targets, after asking.
func (m *model) askLeave() tea.Cmd {
	s := m.snapState()
	lines := []line{say(plainLine, "Stop watching %s and go back to the list of targets?", s.Item.Name)}
	if s.Recording != "" {
		lines = append(lines, say(plainLine, "The session is kept in %s", s.Recording))
	}
	if s.Item.Engine == "demo" && s.Ends {
		lines = append(lines, say(plainLine, "The demo is stopped."))
	}
	lines = append(lines, m.leaving()...)
	m.open(&confirm{title: "Back to the list?", lines: lines, yes: "Go back", then: func(m *model) tea.Cmd { return m.leave() }}, false)
	return nil
}

func (m *model) snapState() bench.State {
	if m.snap == nil {
		return bench.State{}
	}
	return m.snap.state
}

// up reports whether booting a target again interrupts it. Of one whose processes
// are not seen from here its engine's word for its state has to do.
func up(t bench.Item) bool {
	switch t.State {
	case "not started", "created", "configured", "exited", "stopped", "dead":
		return t.Pid != 0
	}
	return true
}

// askBoot asks before a running target is restarted.
func (m *model) askBoot(t bench.Item, then func(*model) tea.Cmd) tea.Cmd {
	lines := []line{
		say(warn, "%s is running. Booting it again stops it first: whoever uses it is interrupted.", t.Name),
		say(plainLine, "The tracer is armed before it starts, so that its first call is seen."),
	}
	if m.snap != nil && m.snap.state.Hold != nil {
		lines = append(lines, say(plainLine, "It is booted as it is configured: the hold ends with this life, and what it denies is allowed for the stop."))
	}
	m.open(&confirm{title: fmt.Sprintf("Boot %s again?", t.Name), lines: lines, yes: "Boot again", then: then}, false)
	return nil
}
