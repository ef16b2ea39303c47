package tui

import (
	"context"
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
	"speaker/tui/bench"
)

// explained is a notice about a call. c puts the proposed condition on it in run,
// or takes the one that it has off; C does so in boot, and so for its whole life. e and
// E write one, and ! says what the call gets where it is not allowed.
type explained struct {
	notice
	entry    policy.Entry
	proposal policy.Proposal
	has      map[policy.Phase]bool
}

// explainedOf adds what can be said of conditions to a call's notice.
func explainedOf(s *session.Session, n *snapshot, e policy.Entry, lines []line) *explained {
	x := &explained{notice: notice{title: e.Call.String(), lines: lines}, entry: e, has: map[policy.Phase]bool{}}
	x.proposal, _ = s.ProposeConditions(e.Call, n.policy.Included(policy.Exec))
	for _, c := range e.Conditions {
		x.has[c.Phase] = true
	}
	return x
}

func (x *explained) key(name, text string) answer {
	if f := x.form(name); f != nil {
		return answer{close: true, then: func(m *model) tea.Cmd { m.open(f, false); return nil }}
	}
	ph, ok := map[string]policy.Phase{"c": policy.Run, "C": policy.Boot}[name]
	if !ok {
		return x.notice.key(name, text)
	}
	if !x.has[ph] && len(x.proposal.Rules) == 0 {
		return answer{}
	}
	return answer{close: true, then: func(m *model) tea.Cmd { return m.toggleCondition(x.entry.Call, x.proposal, ph) }}
}

// form is what a key opens, nil for none.
func (x *explained) form(name string) *form {
	switch name {
	case "e":
		return conditionForm(x.entry, x.proposal, policy.Run)
	case "E":
		return conditionForm(x.entry, x.proposal, policy.Boot)
	case "!":
		return answerForm(x.entry)
	}
	return nil
}

func (x *explained) draw(d *draw, w, h int) (string, []string, string) {
	title, rows, _ := x.notice.draw(d, w, h)
	return title, rows, d.buttons([]string{"Close"}, 0, short(x.offer()+x.scroll.more(), max(0, w-9), d.dots))
}

// offer says what the keys would do.
func (x *explained) offer() string {
	word := func(key string, ph policy.Phase) string {
		switch {
		case x.has[ph]:
			return fmt.Sprintf("%s takes the condition off in %s  ", key, ph)
		case len(x.proposal.Rules) > 0:
			return fmt.Sprintf("%s conditions it in %s  ", key, ph)
		}
		return ""
	}
	return word("c", policy.Run) + word("C", policy.Boot) + "e, E write one  ! its answer  "
}

// toggleCondition puts a proposed condition on a call, or takes off the one that
// it has. What it has is looked up when the job runs.
func (m *model) toggleCondition(c policy.Call, p policy.Proposal, ph policy.Phase) tea.Cmd {
	w, sp, now := m.work, m.snap.split, m.now
	return tea.Batch(m.commit(), m.enqueue(job{title: "condition on " + c.String(), run: func(context.Context) (func(*model) tea.Cmd, error) {
		e, _ := w.Session().Policy(sp).Entry(c)
		edit := policy.Edit{At: now(), Op: policy.OpCondition, Call: c, Phase: ph, When: p.Conditions(), From: policy.OriginObserved, Note: p.Why}
		text := fmt.Sprintf("%s in %s: only if %s; u undoes it", c, ph, policy.ConditionsText(edit.When))
		if slices.ContainsFunc(e.Conditions, func(x policy.Conditional) bool { return x.Phase == ph }) {
			edit = policy.Edit{At: edit.At, Op: policy.OpNoCondition, Call: c, Phase: ph}
			text = fmt.Sprintf("the condition on %s in %s is taken off; u undoes it", c, ph)
		}
		if err := w.Edit(edit); err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			m.say(plainLine, text)
			return nil
		}, nil
	}}))
}

// proposedLines tell which condition could be put on a call, and what it is worth.
func proposedLines(p policy.Proposal) []line {
	var out []line
	for i, r := range p.Rules {
		head := "proposed condition: "
		if i > 0 {
			head = "  or "
		}
		out = append(out, say(strong, "%s%s", head, policy.ConditionsText([][]policy.Condition{r.When})))
	}
	if p.Why != "" {
		out = append(out, say(plainLine, "  made of what was recorded: %s. What was not seen would be refused.", p.Why))
	}
	if p.Warn != "" {
		head := "  but "
		if len(p.Rules) == 0 {
			head = "no condition is proposed: "
		}
		out = append(out, say(warn, "%s%s", head, p.Warn))
	}
	return out
}

// conditionsWord words the conditions on a call in short: "run only if arg0 == 0x2".
func conditionsWord(e policy.Entry) string {
	out := ""
	for i, c := range e.Conditions {
		if i > 0 {
			out += "; "
		}
		out += fmt.Sprintf("%s only if %s", c.Phase, c)
	}
	return out
}

// conditionLines tell the conditions that stand, and what they were made of.
func conditionLines(e policy.Entry) []line {
	var out []line
	for _, c := range e.Conditions {
		verb := "allows it"
		if c.Phase == policy.Run && !e.Run || c.Phase == policy.Boot && !e.Boot {
			verb = "denies it, and once it is allowed does so"
		}
		text := fmt.Sprintf("%s %s only if %s (%s)", c.Phase, verb, c, c.Origin)
		if c.Note != "" {
			text += ": " + c.Note
		}
		out = append(out, line{strong, text})
	}
	return out
}

// refusedLines tell what the dry run found of calls that run allows under conditions.
func refusedLines(s bench.State) []line {
	var out []line
	if len(s.WouldRefuse) > 0 {
		out = append(out, say(strong, "Dry run: conditions in run would refuse:"))
	}
	for i, r := range s.WouldRefuse {
		if i == 12 {
			out = append(out, say(dimLine, "  and %d more", len(s.WouldRefuse)-i))
			break
		}
		who := ""
		if r.Group == trace.Exec {
			who = ", by what entered later"
		}
		out = append(out, say(warn, "  %s %s%s", r.Seen, plural(int(r.Count), "time"), who))
	}
	for _, text := range s.Unsure {
		out = append(out, say(warn, "  unsure: %s", text))
	}
	return out
}
