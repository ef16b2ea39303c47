package tui

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/session"
	"speaker/trace"
)

// settle is how long a moved split rests before it is put on the session, so
// that a key held down makes one split and not fifty.
const settle = 500 * time.Millisecond

// fine is the finest step of a marker: about an epoch.
const fine = 100 * time.Millisecond

// doSplit carries out what the timeline can do.
func (m *model) doSplit(a action) tea.Cmd {
	n := m.snap
	column := max((n.to-n.from)/time.Duration(max(1, len(n.buckets))), time.Millisecond)
	switch a {
	case actAccept:
		m.moved = nil
		return m.quick("accept the split", "the proposed split is accepted", m.work.Accept)
	case actSplitLeft:
		m.shift(splitMarker, -column)
	case actSplitRight:
		m.shift(splitMarker, column)
	case actStopLeft:
		m.shift(stopMarker, -column)
	case actStopRight:
		m.shift(stopMarker, column)
	case actFineLeft:
		m.shift(m.chosen, -fine)
	case actFineRight:
		m.shift(m.chosen, fine)
	case actMarker:
		m.chosen = 1 - m.chosen
		m.say(plainLine, "h and l move the "+m.chosen.String())
	case actNextMark, actPrevMark:
		m.snapTo(a == actNextMark)
	case actZoomIn:
		if n.to-n.from > time.Second {
			m.zoom++
			m.stale = true
		}
	case actZoomOut:
		m.zoom, m.stale = max(0, m.zoom-1), true
	case actUndoSplit, actRedoSplit:
		return m.stepSplit(a == actUndoSplit)
	case actPin:
		m.open(m.pinForm(), false)
	case actSplitCost:
		m.open(&notice{title: "The split", lines: costText(n)}, false)
	case actSplitHere:
		if x, ok := m.marks.chosen(n); ok {
			m.putSplit(x.at)
		}
	}
	return nil
}

// current is the split as it stands on screen.
func (m *model) current() session.Split {
	switch {
	case m.moved != nil:
		return *m.moved
	case m.snap.standing == noSplit:
		return session.Split{At: m.snap.length}
	}
	return m.snap.split
}

func (m *model) shift(k marker, by time.Duration) {
	sp := m.current()
	at := sp.At
	if k == stopMarker {
		if at = sp.Stop; at == 0 {
			if by > 0 {
				m.say(plainLine, "there is no stop mark; { sets one")
				return
			}
			if at = m.stopGuess(); at < m.snap.length {
				by = 0
			}
		}
	}
	m.put(k, at+by)
}

// stopGuess is where a first stop mark is put: at the stop signal, else at the
// end.
func (m *model) stopGuess() time.Duration {
	for _, x := range slices.Backward(m.snap.marks) {
		if x.Kind == session.MarkStop {
			return x.At
		}
	}
	return m.snap.length
}

// put moves a marker on screen. The session learns of it when it has settled.
func (m *model) put(k marker, at time.Duration) {
	sp, length := m.current(), m.snap.length
	if k == splitMarker {
		if !sp.Fits(at) {
			at = sp.Stop - 3*trace.Tick
		}
		sp.At = min(max(at, 0), length)
	} else if sp.Stop = max(at, sp.At+time.Millisecond); sp.Stop >= length {
		sp.Stop = 0
	}
	sp.How, sp.By, sp.Confidence, sp.Evidence = "by hand", "user", "", nil
	m.moved, m.movedAt, m.stale = &sp, m.now(), true
	// Until the next snapshot the marker is drawn where it was put.
	moved := *m.snap
	moved.split, moved.standing = sp, moving
	m.snap = &moved
}

// snapTo moves the chosen marker to the next or previous mark or new call.
func (m *model) snapTo(forward bool) {
	sp := m.current()
	at := sp.At
	if m.chosen == stopMarker {
		if at = sp.Stop; at == 0 {
			at = m.snap.length
		}
	}
	p, ok := session.Next(m.snap.places, at, forward)
	if !ok {
		m.say(plainLine, nothingThere(at, forward))
		return
	}
	if m.chosen == splitMarker {
		m.putSplit(p.At)
		return
	}
	m.put(stopMarker, p.At)
}

// nothingThere says that snapTo has nowhere to go.
func nothingThere(at time.Duration, forward bool) string {
	if forward {
		return fmt.Sprintf("no mark and no new call after %s: N goes back", offset(at))
	}
	return fmt.Sprintf("no mark and no new call before %s: n goes on", offset(at))
}

// putSplit moves the split to something that happened, if that is before the stop
// mark: who asked for it does not want it just before.
func (m *model) putSplit(at time.Duration) {
	if sp := m.current(); !sp.Fits(at) {
		m.say(plainLine, fmt.Sprintf("%s is not before the stop mark at %s: } moves that", offset(at), offset(sp.Stop)))
		return
	}
	m.put(splitMarker, at)
}

// commit puts a moved split on the session.
func (m *model) commit() tea.Cmd {
	if m.moved == nil {
		return nil
	}
	sp, w := *m.moved, m.work
	m.moved = nil
	ok := fmt.Sprintf("split set at %s", offset(sp.At)) + stopText(sp)
	return m.quick("set the split", ok, func() error { return w.SetSplit(sp.At, sp.Stop) })
}
