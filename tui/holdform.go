package tui

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/apply"
	"speaker/policy"
)

// parseErrno reads the error of a denial; 0 is the policy's, by "default".
func parseErrno(text string) (int32, error) {
	if text == "default" {
		return 0, nil
	}
	a, err := policy.ParseAction(text)
	if err == nil && a.Errno() == 0 {
		err = errors.New("a hold denies by errors alone")
	}
	if err != nil {
		return 0, fmt.Errorf("%w: name one (EPERM, EACCES, ENOSYS, errno 95), or default", err)
	}
	return int32(a.Errno()), nil
}

// The choices of the forms below.
const (
	thenDeny, thenAllow       = "deny", "allow"
	thisTime, always          = "this time", "from now on"
	ruleDeny, ruleAllow, drop = "deny", "allow", "take back"
	everyone                  = "all"
)

// askForm asks how removed calls are asked about, before the split is crossed.
func askForm() *form {
	return &form{title: "Cross the split, and ask", yes: "Go on",
		note: fmt.Sprintf("A removed call waits for your answer for the limit (up to %s). What nobody answers by then is denied or allowed, and no more of the same wait.", apply.MaxAsk),
		fields: []formField{{label: "limit", text: newInput(apply.AskWithin.String())},
			{label: "else", choices: []string{thenDeny, thenAllow}}},
		check: func(v []string) error {
			_, err := askingOf(v)
			return err
		},
		then: func(m *model, v []string) tea.Cmd {
			a, _ := askingOf(v)
			m.confirmAsk(a)
			return nil
		}}
}

func askingOf(v []string) (apply.Asking, error) {
	limit, err := time.ParseDuration(v[0])
	if err != nil || limit <= 0 || limit > apply.MaxAsk {
		return apply.Asking{}, fmt.Errorf("%q: say a time like 10s, up to %s", v[0], apply.MaxAsk)
	}
	return apply.Asking{Limit: limit, Allow: v[1] == thenAllow}, nil
}

// confirmAsk crosses the split, but that removed calls wait for an answer.
func (m *model) confirmAsk(a apply.Asking) {
	w, otherwise := m.work, "denied"
	if a.Allow {
		otherwise = "allowed"
	}
	m.open(&confirm{title: "Cross the split, and ask?", yes: "Ask about removed calls", then: func(m *model) tea.Cmd {
		return m.quick("cross the split", fmt.Sprintf("removed calls are asked about; K keeps it, else it is undone in %.0f s", keepWithin.Seconds()),
			func() error { return w.AskSplit(keepWithin, a) })
	}, lines: append([]line{say(plainLine, "A removed call then waits for your answer, %s at most. What nobody answers by then is %s, and no more of the same wait. z undoes it.", a.Limit, otherwise),
		say(warn, "Unless you keep it (K) within %.0f s, the keeper undoes it by itself, even if this line drops.", keepWithin.Seconds())},
		foretellHeld(m.snap, true)...)}, false)
}

// denyForm denies what a question asks, with an error of one's own.
func denyForm(q apply.Question) *form {
	return &form{title: "Deny " + q.Call.String(), yes: "Deny",
		note:   "What the program is told: an error by name, or default, the policy's. Programs take ENOSYS for a kernel that lacks the call, EACCES for missing rights.",
		fields: []formField{{label: "error", text: newInput("ENOSYS")}, {label: "denied", choices: []string{thisTime, always}}},
		check: func(v []string) error {
			_, err := parseErrno(v[0])
			return err
		},
		then: func(m *model, v []string) tea.Cmd {
			errno, _ := parseErrno(v[0])
			verdict := apply.DenyOnce
			if v[1] == always {
				verdict = apply.DenyGood
			}
			w := m.work
			return m.aside("answer", fmt.Sprintf("%s is denied %s with %s", q.Call, v[1], v[0]), func() error { return w.Answer(q, verdict, errno) })
		}}
}

// ruleForm allows or denies a single call of a hold, whatever is said of the rest.
func (m *model) ruleForm() *form {
	call, pid := "mkdir", everyone
	if h := m.snap.state.Hold; h != nil && len(h.ByCall) > 0 {
		call = h.ByCall[0].Call.String()
	}
	if q := open(m.snap); len(q) > 0 {
		call, pid = q[0].Call.String(), strconv.Itoa(q[0].Pid)
	}
	return &form{title: "Allow or deny one call", yes: "Do it",
		note:   "At once, in all processes or in one, whatever the hold says of the rest. Calls that the filter in place removes can be chosen, no others come to the keeper.",
		fields: []formField{{label: "call", text: newInput(call)}, {label: "pid", text: newInput(pid)}, {label: "is", choices: []string{ruleDeny, ruleAllow, drop}}, {label: "error", text: newInput("default")}},
		check: func(v []string) error {
			_, err := m.ruleOf(v)
			return err
		},
		then: func(m *model, v []string) tea.Cmd {
			r, err := m.ruleOf(v)
			if err != nil {
				m.say(bad, err.Error())
				return nil
			}
			w, forget, said := m.work, v[2] == drop, r.String()
			if forget {
				said = fmt.Sprintf("what was said of %s (pid %s) is taken back", r.Call, v[1])
			}
			return m.quick("rule", said, func() error { return w.Rule(r, forget) })
		}}
}

// ruleOf reads what was filled in, for the filter in place.
func (m *model) ruleOf(v []string) (r apply.Rule, err error) {
	if r.Call, err = policy.ParseCall(v[0]); err != nil {
		return r, err
	}
	if v[1] != everyone {
		if r.Pid, err = strconv.Atoi(v[1]); err != nil || r.Pid <= 0 {
			return r, fmt.Errorf("%q is not a pid: give a number, or %s", v[1], everyone)
		}
	}
	if p := m.snap.state.InPlace; p != nil && v[2] != drop && p.Narrow().Has(r.Call) && !p.Conditional(policy.Run).Has(r.Call) {
		return r, fmt.Errorf("%s is allowed by the filter in place, and never comes to the keeper", r.Call)
	}
	r.Allow = v[2] == ruleAllow
	r.Errno, err = parseErrno(v[3])
	return r, err
}
