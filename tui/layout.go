package tui

// rect is a part of the screen, in cells.
type rect struct{ x, y, w, h int }

// layout says where everything is. A part with no height or width is not drawn.
type layout struct {
	w, h     int
	status   rect // one or two rows, always there
	timeline rect
	proposal rect
	tabs     rect
	pane     rect // always there
	side     rect // a second pane, on wide screens
	hint     rect // keys, messages, and the line one types a filter in
}

// body is where dialogs go: all between the status bar and the hints. On a
// small screen they take the hints' row and the second row of status as well.
func (l layout) body() rect {
	if l.h < 16 {
		return rect{0, 1, l.w, l.h - 1}
	}
	return rect{0, l.status.h, l.w, l.h - l.status.h - l.hint.h}
}

// steps say from which height on a part gets how many rows. Read from the
// bottom, it is the order in which a shrinking screen drops things: the height
// of the bars, the evidence, the proposal, the timeline, the tabs, the second
// row of the status bar, the hints. The pane and one row of status stay.
var steps = []struct {
	height int
	grow   func(*layout)
}{
	{4, func(l *layout) { l.hint.h = 1 }},
	{8, func(l *layout) { l.status.h = 2 }},
	{9, func(l *layout) { l.tabs.h = 1 }},
	{10, func(l *layout) { l.timeline.h = 1 }},
	{14, func(l *layout) { l.proposal.h = 1 }},
	{17, func(l *layout) { l.timeline.h = 3 }},
	{21, func(l *layout) { l.timeline.h = 4 }},
	{30, func(l *layout) { l.timeline.h = 6 }},
	{32, func(l *layout) { l.proposal.h = 3 }},
	{44, func(l *layout) { l.timeline.h = 8 }},
	{46, func(l *layout) { l.proposal.h = 6 }},
}

// sideFrom is the width from which on two panes are side by side.
const sideFrom = 150

// arrange lays out the workbench for a screen of w by h cells. It is pure.
func arrange(w, h int) layout {
	l := layout{w: max(w, 1), h: max(h, 1)}
	l.status.h = 1
	for _, s := range steps {
		if l.h >= s.height {
			s.grow(&l)
		}
	}
	y := 0
	for _, r := range []*rect{&l.status, &l.timeline, &l.proposal, &l.tabs} {
		r.y, r.w = y, l.w
		y += r.h
	}
	l.hint.y, l.hint.w = l.h-l.hint.h, l.w
	l.pane = rect{0, y, l.w, max(0, l.hint.y-y)}
	if l.w >= sideFrom {
		l.side = l.pane
		l.side.w = l.w * 2 / 5
		l.pane.w -= l.side.w + 1
		l.side.x = l.pane.w + 1
	}
	return l
}

// arrangePicker lays out the list of targets: the pane takes everything.
func arrangePicker(w, h int) layout {
	l := layout{w: max(w, 1), h: max(h, 1)}
	l.status = rect{0, 0, l.w, 1}
	if l.h >= 4 {
		l.hint.h = 1
	}
	l.hint.y, l.hint.w = l.h-l.hint.h, l.w
	l.pane = rect{0, 1, l.w, max(0, l.h-1-l.hint.h)}
	return l
}
