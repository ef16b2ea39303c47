package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"speaker/apply"
)

// askHoldRunning asks before a hold is put on what runs, and tells what stays of it.
func (m *model) askHoldRunning() tea.Cmd {
	return m.preflight("check before a hold", apply.ModeHoldRunning, func(m *model, checks []apply.Check) {
		c := &confirm{title: "Hold " + m.name() + " as it runs?", yes: "Hold", then: (*model).holdRunning}
		lines := []line{
			say(plainLine, "No restart: a filter goes into each process, whose threads stop for about a millisecond. All is let through until you cross (c) or ask (C); z undoes that, S seals it."),
			say(warn, "Once undone, this stays as long as its processes live: a filter that lets everything through, at some microseconds a call that run does not need, and no_new_privs where the checks say so."),
		}
		if apply.Blocked(checks) {
			lines, c.yes = []line{say(bad, "It cannot be done now:")}, ""
		}
		c.lines = append(append(lines, checkLines(checks)...), foretell(m.snap, false)...)
		m.open(c, true)
	})
}

func (m *model) holdRunning() tea.Cmd {
	w := m.work
	return m.enqueue(job{title: "hold", long: true, run: func(ctx context.Context) (func(*model) tea.Cmd, error) {
		r, p, err := w.HoldRunning(ctx)
		return showProof("Held, and all is let through: c crosses, C asks", reportLines(r), p), err
	}})
}
