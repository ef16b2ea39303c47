package tui

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// doAdmin carries out what marks reloads, and decides on those recognised.
func (m *model) doAdmin(a action) tea.Cmd {
	switch a {
	case actAdminFrom:
		return m.beginAdmin()
	case actAdminTo:
		return m.endAdmin()
	case actAdminTake:
		r, ok := m.guessed()
		if !ok {
			m.say(plainLine, "nothing is recognised as a reload; ( and ) mark one by hand")
			return nil
		}
		x := r.Admin
		x.By = "user, as recognised"
		return m.changeAdmin("the reload is taken as admin", session.AdminChange{Op: session.AdminAdd, Admin: x})
	case actAdminDrop:
		if x, ok := m.onAdmin(); ok {
			return m.changeAdmin("the reload is no longer admin", session.AdminChange{Op: session.AdminRemove, Admin: x})
		}
		if r, ok := m.guessed(); ok {
			return m.changeAdmin("dismissed: what it called stays run", session.AdminChange{Op: session.AdminDismiss, Admin: r.Admin})
		}
		m.say(plainLine, "go to the row of a reload on pane 4 to remove it")
	case actAdminMove:
		x, ok := m.onAdmin()
		if !ok {
			m.say(plainLine, "go to the row of a reload that is marked to adjust it")
			return nil
		}
		m.open(m.adminForm(x), false)
	case actAdminPhase:
		return m.togglePhase(policy.Admin)
	}
	return nil
}

// changeAdmin makes a change, and says what it comes to.
func (m *model) changeAdmin(said string, c session.AdminChange) tea.Cmd {
	w := m.work
	return tea.Batch(m.commit(), m.enqueue(job{title: "mark a reload", run: func(context.Context) (func(*model) tea.Cmd, error) {
		if err := w.ChangeAdmin(c); err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			m.say(good, said+"; u undoes it")
			return nil
		}, nil
	}}))
}

// here is the time that a border of a reload is put to: that of the row under
// the cursor on the list of marks, elsewhere the present.
func (m *model) here() (at time.Duration, words string, ok bool) {
	if m.shown() == marksID {
		x, ok := m.marks.chosen(m.snap)
		return x.at, "the row under the cursor, " + offset(x.at), ok
	}
	if s := m.snap.state; s.Mode == bench.File || s.Ended {
		m.say(plainLine, "it has ended: on 4, ( and ) mark from row to row")
		return 0, "", false
	}
	at = m.work.Session().Length()
	return at, "now, " + offset(at), true
}

func (m *model) beginAdmin() tea.Cmd {
	at, words, ok := m.here()
	if !ok {
		return nil
	}
	said := "a reload is marked from " + words + "; ) ends it"
	if at <= m.snap.split.At || m.snap.standing == noSplit {
		said += " (boot so far: it counts only behind the split)"
	}
	x := session.Admin{From: min(max(at, 0), m.snap.length), How: "marked by hand", By: "user"}
	return m.changeAdmin(said, session.AdminChange{Op: session.AdminAdd, Admin: x})
}

func (m *model) endAdmin() tea.Cmd {
	x, open := m.work.Session().OpenAdmin()
	if !open {
		m.say(plainLine, "no reload has begun: ( begins one")
		return nil
	}
	at, words, ok := m.here()
	if !ok {
		return nil
	}
	x.To = min(at, m.work.Session().Length())
	return m.changeAdmin("the reload ends "+words, session.AdminChange{Op: session.AdminMove, Admin: x})
}

// guessed is the recognised reload under the cursor, or the newest one.
func (m *model) guessed() (session.Recognised, bool) {
	all := m.snap.recognised
	if x, ok := m.marks.chosen(m.snap); ok && m.shown() == marksID {
		if i := slices.IndexFunc(all, func(r session.Recognised) bool { return x.kind == guessKind && r.From == x.at }); i >= 0 {
			return all[i], true
		}
	}
	if len(all) == 0 {
		return session.Recognised{}, false
	}
	return all[len(all)-1], true
}

// onAdmin is the marked reload under the cursor of the list of marks.
func (m *model) onAdmin() (session.Admin, bool) {
	x, ok := m.marks.chosen(m.snap)
	if !ok || m.shown() != marksID || x.kind != adminKind {
		return session.Admin{}, false
	}
	i := slices.IndexFunc(m.snap.admins, func(a session.Admin) bool { return a.ID == x.admin })
	if i < 0 {
		return session.Admin{}, false
	}
	return m.snap.admins[i], true
}

// adminForm asks for the borders of a marked reload.
func (m *model) adminForm(x session.Admin) *form {
	write := func(t time.Duration) input {
		if t == 0 {
			return newInput("")
		}
		return newInput(strconv.FormatFloat(t.Seconds(), 'f', 3, 64))
	}
	return &form{title: "Adjust the reload", yes: "Adjust",
		note:   "In seconds from the start of the recording. Without an end it has not ended yet.",
		fields: []formField{{label: "from", text: write(x.From)}, {label: "to", text: write(x.To)}},
		then: func(m *model, v []string) tea.Cmd {
			from, err := parseOffset(v[0])
			to, err2 := parseOffset(v[1])
			if err != nil || err2 != nil {
				m.say(bad, fmt.Sprintf("%q to %q are no times: seconds are expected, like 12.5", v[0], v[1]))
				return nil
			}
			x.From, x.To = from, to
			return m.changeAdmin("the reload is adjusted", session.AdminChange{Op: session.AdminMove, Admin: x})
		}}
}

// parseOffset reads seconds ("12.5"), or a time with its unit ("1m2s"); "" is 0.
func parseOffset(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 1e9 {
		return time.Duration(f * float64(time.Second)), nil
	}
	return time.ParseDuration(s)
}

// The kinds of rows that reloads have on the list of marks.
const (
	adminKind = "ADMIN"
	guessKind = "reload?"
)

// adminInstants are the marked and the recognised reloads as rows of that list.
func adminInstants(n *snapshot) []instant {
	var out []instant
	for _, a := range n.admins {
		out = append(out, instant{at: a.From, kind: adminKind, admin: a.ID, look: strong,
			text: fmt.Sprintf("%s: %s, by %s", until(a), a.How, a.By)})
	}
	for _, r := range n.recognised {
		out = append(out, instant{at: r.From, kind: guessKind, look: warn,
			text: fmt.Sprintf("%s: M takes it as admin, X does not: %s: %s are nowhere else in run: %s",
				until(r.Admin), r.How, plural(len(r.Calls), "call"), listed(names(r.Calls), 12))})
	}
	return out
}

// until writes the end of a reload.
func until(a session.Admin) string {
	if a.To == 0 {
		return "not ended"
	}
	return "to " + offset(a.To)
}

// bracket is how an interval is drawn; one is for where a column holds all of it.
type bracket struct {
	from, fill, to, one string
	look                look
}

var (
	marked  = bracket{"(", "=", ")", "@", strong}
	guesses = bracket{"<", "~", ">", "~", warn}
)

// adminsOn draws the reloads on a row of the timeline; only their edges, over the
// letters that are there by then, or all of them. Boot and stop go before them.
func (d *draw) adminsOn(n *snapshot, s strip, edges bool) {
	for _, r := range n.recognised {
		d.bracket(n, s, r.Admin, guesses, edges)
	}
	for _, a := range n.admins {
		d.bracket(n, s, a, marked, edges)
	}
}

func (d *draw) bracket(n *snapshot, s strip, a session.Admin, b bracket, edges bool) {
	from, to := a.From, a.To
	if to == 0 {
		to = n.length
	}
	if n.standing != noSplit {
		from = max(from, n.split.At)
	}
	if n.split.Stop > 0 {
		to = min(to, n.split.Stop)
	}
	if to <= from || to < n.from || from >= n.to {
		return
	}
	style := d.as(b.look)
	first, last := n.column(max(from+1, n.from)), n.column(min(to, n.to))
	for i := first; i <= last && !edges; i++ {
		s.set(i, b.fill, &style)
	}
	if from >= n.from {
		s.set(first, b.from, &style)
	}
	if a.To != 0 && to <= n.to {
		s.set(last, b.to, &style)
	}
	if first == last {
		s.set(first, b.one, &style)
	}
}

// adminLines tell what reloads cost, or what leaving them out gains.
func adminLines(n *snapshot) []line {
	var out []line
	if len(n.admins) > 0 {
		out = append(out, say(strong, "Reloads (admin): %s marked, %s.", plural(len(n.admins), "interval"), groupWord(n, policy.Admin)))
		alone := n.policy.Alone(policy.Admin)
		what := "run allows %s for them alone; leaving them out (O on 2) gains that, and the next reload fails: %s"
		if !n.policy.Included(policy.Admin) {
			what = "run denies %s that they used, and the next reload fails; O on 2 includes them again: %s"
		}
		if len(alone) == 0 {
			out = append(out, say(plainLine, "  run has all their calls without them: nothing is to be gained"))
		} else {
			out = append(out, say(plainLine, "  "+what, plural(len(alone), "call"), strings.Join(names(alone), ", ")))
		}
	}
	if k := len(n.recognised); k > 0 {
		out = append(out, say(warn, "Recognised, and not decided: %s; M takes the newest as admin, X dismisses it, 4 shows them.", plural(k, "reload")))
	}
	return out
}

// groupWord says whether a group of calls goes into the filters.
func groupWord(n *snapshot, ph policy.Phase) string {
	if n.policy.Included(ph) {
		return "in"
	}
	return "out"
}

// tellRecognised says that a reload was recognised since the snapshot before.
func (m *model) tellRecognised(old *snapshot) {
	for _, r := range m.snap.recognised {
		if old == nil || !slices.ContainsFunc(old.recognised, func(x session.Recognised) bool { return x.From == r.From }) {
			when := offset(r.From)
			if to := offset(r.To); to != when {
				when += " to " + to
			}
			m.say(warn, fmt.Sprintf("a reload? M takes it as admin, X does not: %s, %s", when, r.How))
		}
	}
}
