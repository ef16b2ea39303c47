package tui

// list is the cursor and the window of a pane's rows. The zero list stands at
// the top.
type list struct {
	cursor, top int
	rows, page  int // as of the last sync
	filter      string
}

// sync takes the present number of rows and of visible lines, and puts cursor
// and window where they fit.
func (l *list) sync(rows, page int) {
	l.rows, l.page = rows, max(page, 1)
	l.cursor = min(max(l.cursor, 0), max(rows-1, 0))
	l.top = min(max(l.top, 0), max(rows-l.page, 0))
	if l.cursor < l.top {
		l.top = l.cursor
	}
	if l.cursor >= l.top+l.page {
		l.top = l.cursor - l.page + 1
	}
}

// do moves the cursor. It reports whether the action was one of a list.
func (l *list) do(a action) bool {
	switch a {
	case actUp:
		l.cursor--
	case actDown:
		l.cursor++
	case actPageUp:
		l.cursor -= l.page
	case actPageDown:
		l.cursor += l.page
	case actTop:
		l.cursor = 0
	case actBottom:
		l.cursor = l.rows - 1
	default:
		return false
	}
	l.sync(l.rows, l.page)
	return true
}

// scroll moves the window and not a cursor: for texts.
func (l *list) scroll(a action) bool {
	switch a {
	case actUp:
		l.top--
	case actDown:
		l.top++
	case actPageUp:
		l.top -= l.page
	case actPageDown:
		l.top += l.page
	case actTop:
		l.top = 0
	case actBottom:
		l.top = l.rows
	default:
		return false
	}
	l.top = min(max(l.top, 0), max(l.rows-l.page, 0))
	l.cursor = l.top
	return true
}

// window returns which rows are visible: from a up to, not including, b.
func (l *list) window() (a, b int) { return l.top, min(l.top+l.page, l.rows) }
