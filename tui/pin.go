package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/policy"
	"speaker/session"
)

// stepSplit undoes or redoes a move of the split. One that has not come to rest
// is just dropped.
func (m *model) stepSplit(undo bool) tea.Cmd {
	if m.moved != nil {
		m.moved, m.stale = nil, true
		m.say(plainLine, "the split stays where it was")
		return nil
	}
	m.stale = true
	if undo {
		return m.quick("undo the move", "the last move of the split is undone; . redoes it", m.work.UndoSplit)
	}
	return m.quick("redo the move", "the move is redone", m.work.RedoSplit)
}

// pinForm asks for a rule.
func (m *model) pinForm() *form {
	w := m.work
	return &form{title: "Pin the split by a rule", yes: "Pin",
		note: "A time (2.5s), or an event, with a delay and words of it if you like: ready 80; 2s after listen-wait; 2nd exec nginx; call accept4. " +
			"Events: " + strings.Join(session.RuleEvents(), " ") + ". The rule splits the next boot as well.",
		fields: []formField{{label: "rule", text: newInput(m.snap.split.Rule)}},
		check:  func(v []string) error { _, err := session.ParseRule(v[0]); return err },
		then: func(m *model, v []string) tea.Cmd {
			m.moved, m.stale = nil, true
			return m.quick("pin the split", "pinned to "+v[0], func() error { return w.Pin(v[0]) })
		}}
}

// costText is what the split rests on, what it costs there and at the facts beside
// it, what came late in run, and how far the learning has come.
func costText(n *snapshot) []line {
	out := proposalText(n)
	if n.standing == noSplit {
		return out
	}
	out = append(out, say(strong, "run may call %d: %s", n.cost.Run.Len(), listed(sortedNames(n.cost.Run), 80)))
	for _, x := range []struct {
		word string
		*session.Elsewhere
	}{{"before", n.cost.Before}, {"after", n.cost.After}} {
		if x.Elsewhere != nil {
			out = append(out, say(plainLine, "%s, at %s (%s): %d%s", x.word, offset(x.At), x.What, x.Run, changes(x.Elsewhere)))
		}
	}
	for _, x := range n.late {
		out = append(out, say(warn, "new in run: %s", x))
	}
	l := n.learning
	out = append(out, say(plainLine, "%s", l), say(dimLine, "%s in %s of run; %d came up on one occasion, %d on two",
		plural(l.Known, "call"), elapsed(l.Length), l.Once, l.Twice))
	return append(out, say(dimLine, "known by time: %s", curve(n, 40)))
}

// changes tells which calls run would have besides, and which no longer.
func changes(x *session.Elsewhere) string {
	out := ""
	for _, c := range []struct {
		sign  string
		calls []policy.Call
	}{{"+", x.More}, {"-", x.Fewer}} {
		if len(c.calls) > 0 {
			out += fmt.Sprintf("  %s%d: %s", c.sign, len(c.calls), listed(names(c.calls), 12))
		}
	}
	if out == "" {
		return ", the same"
	}
	return out
}

// curve is the discovery curve: how many calls run was known to use at w points of
// its time, in tenths of all that are known now.
func curve(n *snapshot, w int) string {
	l := n.learning
	if l.Known == 0 || l.Length == 0 {
		return "nothing yet"
	}
	var b strings.Builder
	i := 0
	for k := 1; k <= w; k++ {
		to := n.split.At + l.Length/time.Duration(w)*time.Duration(k)
		for i < len(l.Curve) && (l.Curve[i].At <= to || k == w) {
			i++
		}
		b.WriteByte("0123456789#"[i*10/l.Known])
	}
	return b.String() + " (tenths; # is all)"
}

// unseen tells, in as many words as fit, how many calls of run were likely not
// seen yet.
func unseen(n *snapshot, w int) string {
	switch {
	case n.standing == noSplit:
		return ""
	case w >= 120:
		return "  " + n.learning.String()
	case n.learning.Enough:
		return fmt.Sprintf("  unseen ~%.0f", n.learning.Unseen)
	}
	return "  unseen ?"
}
