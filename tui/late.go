package tui

import (
	tea "charm.land/bubbletea/v2"

	"speaker/apply"
)

// containerHold is what a hold of a container means besides.
var containerHold = []line{
	say(plainLine, "Its engine starts it as it is configured, and its program is caught at its first instruction. b boots it again as it was. If it cannot be caught, it runs as it would have, and you are told."),
	say(plainLine, "Started again by anybody else it is held again, in boot. Who comes in later (docker exec, probes) gets the start filter from the first call on, and what boot alone needs is let through to it; J changes that."),
}

// unlooked stands for the check of no_new_privs where no process runs to be looked at.
var unlooked = say(warn, "Unless its program has CAP_SYS_ADMIN it gets no_new_privs for this life: setuid programs in it then gain nothing.")

// lateWords tell what each choice does to who comes in later.
var lateWords = map[apply.LateChoice]string{
	apply.LateBoot:   "gets the start filter, and what boot alone needs is let through to it, whatever the target's mode",
	apply.LateRun:    "gets the run filter, for good",
	apply.LateRefuse: "does not start: docker exec fails, and so does a health check by a command",
}

// askLate asks for another choice of what becomes of who comes in later: the next of the
// three.
func (m *model) askLate() {
	h := m.snap.state.Hold
	if h == nil || h.Late == nil {
		m.say(warn, "nobody comes in later here: that is for containers that are held (H)")
		return
	}
	next := map[apply.LateChoice]apply.LateChoice{apply.LateBoot: apply.LateRun, apply.LateRun: apply.LateRefuse, apply.LateRefuse: apply.LateBoot}[h.Late.Choice]
	w := m.work
	lines := []line{
		say(plainLine, "Who comes in from outside (docker exec, probes) now %s.", lateWords[h.Late.Choice]),
		say(strong, "From then on it %s.", lateWords[next]),
		say(dimLine, "What came in before goes on; what boot alone needs is denied to it unless the choice is boot."),
	}
	if next != apply.LateBoot {
		lines = append(lines, say(warn, "A health check that fails may have the container ended by who watches it."))
	}
	c := &confirm{title: "Who comes in later: " + string(next) + "?", yes: "Choose " + string(next), lines: lines}
	c.then = func(m *model) tea.Cmd {
		return m.quick("who comes in later", "who comes in later: "+string(next)+"; J changes it again", func() error { return w.Late(next) })
	}
	m.open(c, false)
}

// lateLines tell of those who came in.
func lateLines(l *apply.LateStatus) []line {
	if l == nil {
		return nil
	}
	out := []line{say(plainLine, "  who comes in later (exec, probes) %s (J): %d caught, %d refused, %d missed", lateWords[l.Choice], l.Caught, l.Refused, l.Missed)}
	if !l.Catching {
		out[0] = say(warn, "  who comes in later (exec, probes) is NOT caught: it starts under the container's own profile; before: %d caught, %d refused, %d missed", l.Caught, l.Refused, l.Missed)
	}
	if l.Injected > 0 {
		out = append(out, say(warn, "  %d of them began before they were caught, and were injected a moment later", l.Injected))
	}
	if l.Last != "" {
		out = append(out, say(bad, "  %s", l.Last))
	}
	return out
}
