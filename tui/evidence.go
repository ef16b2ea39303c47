package tui

import (
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"speaker/session"
	"speaker/trace/ready"
	"speaker/tui/bench"
)

// opinionLines tells what every detector thinks, the weightiest first.
func opinionLines(n *snapshot) []line {
	out := []line{say(dimLine, "The first that has a place, or still waits for one, is what is proposed; others raise or lower its confidence.")}
	for _, o := range n.opinions {
		place := "none"
		switch {
		case o.Found:
			place = fmt.Sprintf("%s, confidence %s", offset(o.At), o.Confidence)
		case o.Pending:
			place = "none yet"
		}
		out = append(out, say(strong, "%s: %s", o.Detector, place), say(plainLine, "%s", o.How))
		out = append(out, evidenceLines(o.Evidence)...)
	}
	return out
}

// evidenceLines writes facts for and against.
func evidenceLines(list []session.Evidence) []line {
	var out []line
	for _, e := range list {
		sign, look := "+", good
		if !e.For {
			sign, look = "-", warn
		}
		out = append(out, say(look, "%s %s  %s", sign, offset(e.At), e.Text))
	}
	return out
}

const readyNote = "tcp:80, http://:8080/health, log:TEXT, logfile:PATH:TEXT, health, notify (sd_notify) or cmd:COMMAND. " +
	"tcp and http connect to it from within its network, and ask once more after the split; cmd runs on this host, as you do; " +
	"the others only listen. What is ready when it is first asked tells nothing of when: name probes while it boots, or boot it again (b)."

// What becomes of the probes that were named before.
const (
	onlyThis = "only this"
	alsoThis = "also this"
	noProbe  = "ask none"
)

// askReady asks how the target tells that it is ready.
func (m *model) askReady() {
	w, now := m.work, m.snap.state.Probes
	if m.snap.state.Mode == bench.File {
		m.say(warn, bench.ErrFile.Error())
		return
	}
	first := "http://:8080/"
	if len(now) > 0 {
		first = now[0]
	}
	note := fmt.Sprintf("For %.0f minutes at most. ", ready.Limit.Minutes()) + readyNote
	if len(now) > 0 {
		note = "Now: " + listed(now, 3) + ". " + note
	}
	m.open(&form{title: "When is it ready?", yes: "Ask", note: note,
		fields: []formField{{label: "probe", text: newInput(first)}, {label: "asked", choices: []string{onlyThis, alsoThis, noProbe}}},
		check: func(v []string) error {
			if v[1] == noProbe {
				return nil
			}
			_, err := ready.ParseAll(v[:1])
			return err
		},
		then: func(m *model, v []string) tea.Cmd {
			list, ok := []string{v[0]}, "it is asked: "+v[0]
			switch v[1] {
			case alsoThis:
				list = append(slices.Clone(now), v[0])
			case noProbe:
				list, ok = nil, "no readiness probe is asked"
			}
			return m.quick("ask whether it is ready", ok, func() error { return w.Ready(list) })
		}}, false)
}
