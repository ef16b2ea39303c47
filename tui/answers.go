package tui

import (
	"context"
	"fmt"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"speaker/policy"
)

// answerNote tells what can be typed as an answer.
const answerNote = "An error by name (EPERM, EACCES, errno 95), kill process, trap, log, or default. log denies nothing. " +
	"A hold denies by errors alone: EPERM stands in for the others until the seal. What is said of boot holds in run too, unless run has its own."

// parseAnswer reads an answer; "default" takes back what was said before.
func parseAnswer(text string) (policy.Action, error) {
	if text == "default" {
		return 0, nil
	}
	a, err := policy.ParseAction(text)
	if err == nil {
		err = policy.CheckAnswer(a)
	}
	return a, err
}

// phaseNamed is the phase of a form's choice.
func phaseNamed(text string) policy.Phase {
	if text == policy.Boot.String() {
		return policy.Boot
	}
	return policy.Run
}

// phaseField chooses the filter that an edit is about.
func phaseField() formField { return formField{label: "phase", choices: []string{"run", "boot"}} }

// answersForm asks what calls get that a phase does not allow.
func (m *model) answersForm() *form {
	p := m.snap.policy
	now := func(phase string) [2]string {
		a := p.Answers(phaseNamed(phase)).Filled()
		return [2]string{a.Denied.String(), a.Newer.String()}
	}
	f := &form{title: "What calls get that are not allowed", yes: "Set", note: "newer: those newer than Linux 5.0, which programs do without when told ENOSYS. " + answerNote,
		fields: []formField{phaseField(), {label: "denied"}, {label: "newer"}},
		changed: func(fields []formField, _ int) {
			for i, text := range now(fields[0].value()) {
				if x := &fields[i+1]; !x.edited {
					x.text = newInput(text)
				}
			}
		},
		check: func(v []string) error {
			for _, text := range v[1:] {
				if _, err := parseAnswer(text); err != nil {
					return err
				}
			}
			return nil
		},
		then: func(m *model, v []string) tea.Cmd {
			var edits []policy.Edit
			for i, op := range []policy.EditOp{policy.OpDenied, policy.OpNewer} {
				if a, _ := parseAnswer(v[i+1]); v[i+1] != now(v[0])[i] {
					edits = append(edits, policy.Edit{Op: op, Phase: phaseNamed(v[0]), Action: a})
				}
			}
			return m.makeEdits("what denied calls get", edits)
		}}
	f.changed(f.fields, 0)
	return f
}

// answerForm asks what one call gets where it is not allowed.
func answerForm(e policy.Entry) *form {
	now := func(phase string) string {
		if a, ok := e.Answers[phaseNamed(phase)]; ok {
			return a.String()
		}
		return "default"
	}
	f := &form{title: "What " + e.Call.String() + " gets where it is not allowed", yes: "Set", note: answerNote,
		fields: []formField{phaseField(), {label: "answer"}},
		changed: func(fields []formField, _ int) {
			if !fields[1].edited {
				fields[1].text = newInput(now(fields[0].value()))
			}
		},
		check: func(v []string) error {
			_, err := parseAnswer(v[1])
			return err
		},
		then: func(m *model, v []string) tea.Cmd {
			a, _ := parseAnswer(v[1])
			if v[1] == now(v[0]) {
				return nil
			}
			return m.makeEdits("what "+e.Call.String()+" gets", []policy.Edit{{Op: policy.OpAnswer, Call: e.Call, Phase: phaseNamed(v[0]), Action: a}})
		}}
	f.changed(f.fields, 0)
	return f
}

// makeEdits makes edits that were put together by hand, and tells them.
func (m *model) makeEdits(title string, edits []policy.Edit) tea.Cmd {
	if len(edits) == 0 {
		m.say(plainLine, "nothing is changed")
		return nil
	}
	w, now := m.work, m.now
	return tea.Batch(m.commit(), m.enqueue(job{title: title, run: func(context.Context) (func(*model) tea.Cmd, error) {
		text := ""
		for _, e := range edits {
			e.At = now()
			if err := w.Edit(e); err != nil {
				return nil, err
			}
			text += e.String() + "; "
		}
		return func(m *model) tea.Cmd {
			m.say(plainLine, text+"u undoes it")
			return nil
		}, nil
	}}))
}

// conditionForm writes a condition on a call, in place of the one that it has.
func conditionForm(e policy.Entry, proposal policy.Proposal, ph policy.Phase) *form {
	text := policy.ConditionsText(proposal.Conditions())
	for _, c := range e.Conditions {
		if c.Phase == ph {
			text = c.String()
		}
	}
	edit := func(v []string) (policy.Edit, error) {
		when, err := policy.ParseConditions(v[0])
		x := policy.Edit{Op: policy.OpCondition, Call: e.Call, Phase: ph, When: when, From: policy.OriginHand}
		if err == nil {
			err = x.Check()
		}
		return x, err
	}
	return &form{title: fmt.Sprintf("Allow %s in %s only if", e.Call, ph), yes: "Set",
		note: "arg0 == 0x1, or arg0 == 0x2 and arg1 & 0xf == 0x1. Comparisons: == != < <= > >=, and & for some bits; && and || do as well. " +
			"Names like AF_UNIX, SOCK_STREAM, CLONE_NEWUSER, PROT_EXEC, TIOCSTI stand for numbers. What does not pass is denied.",
		fields: []formField{{label: "only if", text: newInput(text)}},
		check:  func(v []string) error { _, err := edit(v); return err },
		then: func(m *model, v []string) tea.Cmd {
			x, _ := edit(v)
			return m.makeEdits("condition on "+e.Call.String(), []policy.Edit{x})
		}}
}

// answersNote tells what denied calls get, where that was chosen.
func answersNote(n *snapshot) string {
	ph := policy.Run
	if n.standing == noSplit {
		ph = policy.Boot
	}
	return n.policy.Answers(ph).String()
}

// answersField is the same for the status bar.
func answersField(n *snapshot) (field, bool) {
	text := answersNote(n)
	return field{long: "denied: " + text, short: text, rank: 5, bad: n.policy.Answers(policy.Run).Filled().Denied == policy.ActLog}, text != ""
}

// unusual words an answer that is not what a denied call gets where nobody chose.
func unusual(a policy.Action) string {
	if e := a.Errno(); e == unix.EPERM || e == unix.ENOSYS || a == 0 {
		return ""
	}
	return "; it " + a.Effect()
}
