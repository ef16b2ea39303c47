package tui

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/apply"
	"speaker/tui/bench"
)

// keepWithin is how long a split that was crossed by key waits to be kept: long
// enough to see the service work, and short for one that does not.
const keepWithin = time.Minute

// keepLeft is the time left to keep what was crossed; 0 when nothing waits.
func (n *snapshot) keepLeft() time.Duration {
	h := n.state.Hold
	if h == nil || h.Until.IsZero() {
		return 0
	}
	return max(h.Until.Sub(n.at), 1)
}

// keepSeconds is that in whole seconds.
func (n *snapshot) keepSeconds() int { return int(math.Ceil(n.keepLeft().Seconds())) }

// tellUndone tells that the keeper has undone a hold by itself.
func (m *model) tellUndone(old, fresh *snapshot) {
	h := fresh.state.Hold
	if h == nil || h.Why == "" {
		return
	}
	if old != nil && old.state.Hold != nil && old.state.Hold.Since.Equal(h.Since) {
		return
	}
	m.say(bad, bench.UndoneBy+h.Why)
	m.open(&notice{title: "The hold was undone", lines: []line{
		say(bad, "The keeper has undone it by itself at %s: %s.", h.Since.Format(time.TimeOnly), h.Why),
		say(plainLine, "Removed calls are allowed again. What was denied is listed on pane 3; c crosses the split again.")}}, true)
}

// doTry carries out what tests and applies the policy. What it finds is shown
// on the pane for it.
func (m *model) doTry(a action) tea.Cmd {
	s := m.snap.state
	if s.Mode == bench.File {
		m.say(warn, bench.ErrFile.Error())
		return nil
	}
	if s.Ended && a != actHold && a != actAutoHold && a != actPreflight {
		m.say(warn, "the target has ended: b boots it again")
		return nil
	}
	m.focus, m.last = testID, testID
	w := m.work
	switch a {
	case actDryRun:
		ok := "dry run: calls outside the run set are listed here; nothing is denied"
		if s.DryRun {
			ok = "dry run is off"
		}
		return tea.Batch(m.commit(), m.quick("dry run", ok, func() error { return w.DryRun(!s.DryRun) }))
	case actAsk:
		m.open(askForm(), false)
	case actRule:
		if s.Hold == nil {
			m.say(warn, "nothing is held: H boots it under the two-phase filter")
			return nil
		}
		m.open(m.ruleForm(), false)
	case actQuestion:
		if q := open(m.snap); len(q) > 0 {
			m.open(&questionBox{work: m.work, q: q[0], at: m.snap.at}, false)
			return nil
		}
		m.say(plainLine, "no question waits")
	case actKeepHold:
		return m.quick("keep it", "kept: removed calls stay denied; z undoes it", w.KeepHold)
	case actGuard:
		on, ok := s.Hold == nil || !s.Hold.Watchdog, "the watchdog is off: nobody undoes what goes badly"
		if on {
			ok = "the watchdog is on"
		}
		return m.quick("watchdog", ok, func() error { return w.Guard(on) })
	case actLate:
		m.askLate()
	case actUndoHold:
		return m.quick("undo the hold", "the hold is undone: removed calls are allowed again", w.UndoHold)
	case actPreflight:
		return m.preflight("Checks", m.likely(), func(m *model, c []apply.Check) {
			m.open(&notice{title: "Checks before " + modeWord(m.likely()), lines: checkLines(c)}, true)
		})
	case actHold, actAutoHold:
		return m.askHold(a == actAutoHold)
	case actCross:
		m.open(&confirm{title: "Cross the split?", yes: "Deny removed calls", then: func(m *model) tea.Cmd {
			return m.quick("cross the split", fmt.Sprintf("removed calls are denied; K keeps it, else it is undone in %.0f s", keepWithin.Seconds()),
				func() error { return w.CrossSplit(keepWithin) })
		}, lines: append([]line{say(plainLine, "From now on removed calls fail. z allows them again at once."),
			say(warn, "Unless you keep it (K) within %.0f s, the keeper undoes it by itself, even if this line drops.", keepWithin.Seconds())},
			foretellHeld(m.snap, true)...)}, false)
	case actSeal:
		return m.askApply("Seal", apply.ModeSeal, "seal", m.seal)
	case actHoldRunning:
		return m.askHoldRunning()
	case actInject:
		return m.askApply("Inject", apply.ModeInject, "inject", m.inject)
	case actProve:
		return m.enqueue(job{title: "prove", long: true, run: func(ctx context.Context) (func(*model) tea.Cmd, error) {
			p, err := w.Prove(ctx)
			return showProof("Proof", nil, p), err
		}})
	case actReload:
		return m.askReload()
	}
	return nil
}

// likely is the kind of apply that the target's state suggests.
func (m *model) likely() apply.Mode {
	switch s := m.snap.state; {
	case strings.HasPrefix(string(s.Applied), "hold"):
		return apply.ModeSeal
	case s.Item.Engine == "demo" || s.Item.Engine == "run":
		return apply.ModeHold
	}
	return apply.ModeInject
}

func modeWord(m apply.Mode) string {
	switch m {
	case apply.ModeSeal:
		return "a seal"
	case apply.ModeHold, apply.ModeHoldRunning:
		return "a hold"
	}
	return "an injection"
}

// preflight runs the checks of a mode and hands them on.
func (m *model) preflight(title string, mode apply.Mode, then func(*model, []apply.Check)) tea.Cmd {
	w := m.work
	return tea.Batch(m.commit(), m.enqueue(job{title: title, long: true, run: func(ctx context.Context) (func(*model) tea.Cmd, error) {
		checks := w.Preflight(ctx, mode)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			then(m, checks)
			return nil
		}, nil
	}}))
}

// checkLines writes checks, the weightiest first.
func checkLines(checks []apply.Check) []line {
	var out []line
	for _, level := range []apply.Level{apply.Block, apply.Warn, apply.Note, apply.OK} {
		for _, c := range checks {
			if c.Level == level {
				out = append(out, checkLine(c)...)
			}
		}
	}
	if len(out) == 0 {
		out = append(out, say(dimLine, "no checks apply"))
	}
	return out
}

func checkLine(c apply.Check) []line {
	word, l := "ok      ", good
	switch c.Level {
	case apply.Block:
		word, l = "BLOCKS  ", bad
	case apply.Warn:
		word, l = "warning ", warn
	case apply.Note:
		word, l = "note    ", plainLine
	}
	text := word + c.Title
	if c.Found != "" {
		text += ": " + c.Found
	}
	out := []line{{l, text}}
	if c.Level == apply.OK {
		return out
	}
	if c.Why != "" {
		out = append(out, say(dimLine, "        %s", c.Why))
	}
	if c.Remedy != "" {
		out = append(out, say(plainLine, "        remedy: %s", c.Remedy))
	}
	return out
}

// askHold asks before the target is booted again under the two-phase filter.
func (m *model) askHold(auto bool) tea.Cmd {
	return m.preflight("check before a hold", apply.ModeHold, func(m *model, checks []apply.Check) {
		w, name := m.work, m.name()
		lines := []line{say(plainLine, "%s is stopped and booted again under a filter that lets all of boot and run through. Crossing the split then denies what run does not need; that can be undone (z).", name)}
		if m.snap.state.Item.Container() {
			lines = append(lines, containerHold...)
			if m.snap.state.Ended {
				lines = append(lines, unlooked)
			}
		}
		c := &confirm{title: "Hold: boot " + name + " under the two-phase filter?", yes: "Boot and hold"}
		if auto {
			lines = append(lines, say(warn, "The split is crossed by itself as soon as its evidence shows again."))
		}
		if apply.Blocked(checks) {
			lines, c.yes = []line{say(bad, "It cannot be done now:")}, ""
		}
		c.lines = append(append(lines, checkLines(checks)...), foretell(m.snap, false)...)
		c.then = func(m *model) tea.Cmd {
			return m.become("hold "+name, func(ctx context.Context) (bench.Work, error) { return w.Hold(ctx, auto) })
		}
		m.open(c, true)
	})
}

// askApply asks for a word before something permanent is done to a live
// target, with the checks and what it will break.
func (m *model) askApply(title string, mode apply.Mode, word string, do func(*model) tea.Cmd) tea.Cmd {
	return m.preflight("check before "+modeWord(mode), mode, func(m *model, checks []apply.Check) {
		c := &confirm{title: title + " " + m.name() + "?", yes: title, word: word, then: do}
		lines := []line{say(bad, "This is permanent: only ending the target's processes takes the filter away.")}
		if apply.Blocked(checks) {
			lines, c.yes, c.word = []line{say(bad, "It cannot be done now:")}, "", ""
		}
		c.lines = append(lines, checkLines(checks)...)
		if mode == apply.ModeSeal {
			c.lines = append(c.lines, foretellHeld(m.snap, false)...)
		} else {
			c.lines = append(c.lines, foretell(m.snap, false)...)
		}
		m.open(c, true)
	})
}

func (m *model) seal(*model) tea.Cmd {
	w := m.work
	return m.enqueue(job{title: "seal", long: true, run: func(ctx context.Context) (func(*model) tea.Cmd, error) {
		p, err := w.Seal(ctx)
		return showProof("Sealed", nil, p), err
	}})
}

func (m *model) inject(*model) tea.Cmd {
	w := m.work
	return m.enqueue(job{title: "inject", long: true, run: func(ctx context.Context) (func(*model) tea.Cmd, error) {
		r, p, err := w.Inject(ctx)
		return showProof("Injected", reportLines(r), p), err
	}})
}

// showProof opens the outcome of an apply.
func showProof(title string, before []line, p apply.Proof) func(*model) tea.Cmd {
	return func(m *model) tea.Cmd {
		l, text := good, title+": proved"
		if !p.OK {
			l, text = bad, title+": NOT PROVED"
		}
		m.say(l, text)
		m.open(&notice{title: text, lines: append(before, proofLines(p)...)}, true)
		return nil
	}
}

// reportLines tells how an injection went.
func reportLines(r apply.Report) []line {
	out := []line{say(strong, "The filter is in %s, after %s; %d ended meanwhile.",
		plural(r.Processes, "process"), plural(r.Passes, "pass"), r.Died)}
	if n := len(r.Stops); n > 0 {
		longest := r.Stops[0]
		for _, s := range r.Stops {
			longest = max(longest, s)
		}
		out = append(out, say(plainLine, "Each was stopped for %s at most.", longest.Round(10*time.Microsecond)))
	}
	if r.NoNewPrivs > 0 {
		out = append(out, say(warn, "no_new_privs had to be set in %s.", plural(r.NoNewPrivs, "process")))
	}
	for _, f := range r.Failed {
		out = append(out, say(bad, "FAILED in %d (%s): %s", f.Pid, f.Comm, f.Text))
	}
	return out
}

// proofLines tells what the filters of every thread were found to be: the
// proof's own sentences, then what they count, one by one.
func proofLines(p apply.Proof) []line {
	var out []line
	for i, t := range p.Text {
		l := plainLine
		if i == 0 && p.OK {
			l = good
		} else if !p.OK {
			l = bad
		}
		out = append(out, line{l, t})
	}
	for i, x := range p.Differing {
		if i == 10 {
			out = append(out, say(bad, "  and %s more", plural(len(p.Differing)-i, "process")))
			break
		}
		out = append(out, say(bad, "  otherwise in process %d (%s): %s, %s", x.Pid, x.Comm, plural(x.Threads, "thread"), plural(x.Cases, "case")))
	}
	if len(p.NoFilter) > 0 {
		out = append(out, say(bad, "  without a filter: %v", p.NoFilter))
	}
	if len(p.Leaked) > 0 {
		out = append(out, say(bad, "  with a listener: %v", p.Leaked))
	}
	if len(p.Stricter) > 0 {
		out = append(out, say(warn, "  denied by an older filter: %s", listed(names(p.Stricter), 20)))
	}
	for i, x := range p.Differ {
		if i == 40 {
			out = append(out, say(bad, "  and %d more", len(p.Differ)-i))
			break
		}
		out = append(out, say(bad, "  %s in thread %d of %d (%s): is %v, should be %v", x.Asked(), x.Tid, x.Pid, x.Comm, x.Got, x.Want))
	}
	return out
}

// askReload foretells what the administrative request will meet, and sends it.
func (m *model) askReload() tea.Cmd {
	if m.snap.state.Item.Engine != "demo" {
		m.say(warn, bench.ErrNotDemo.Error())
		return nil
	}
	w := m.work
	needs := m.snap.reload
	if len(needs.calls) == 0 {
		needs.calls = m.needs
	}
	m.open(&confirm{title: "Send the administrative request?", yes: "Send", lines: foretellReload(m.snap, needs), then: func(m *model) tea.Cmd {
		return m.enqueue(job{title: "administrative request", long: true, run: func(context.Context) (func(*model) tea.Cmd, error) {
			said, err := w.Reload()
			return func(m *model) tea.Cmd {
				m.answered(said, err)
				return nil
			}, nil
		}})
	}}, false)
	return nil
}

// answered shows what the administrative request came to. A failure is an
// outcome here, not an error of the workbench.
func (m *model) answered(said string, err error) {
	l, text := good, "administrative request: "+strings.TrimSpace(said)
	if err != nil {
		l, text = warn, "administrative request failed: "+strings.TrimSpace(err.Error()+" "+said)
	}
	m.reloaded = text
	m.say(l, text)
	lines := []line{{l, text}}
	if denies(m.snapState().Applied) {
		lines = append(lines, say(plainLine, "What was denied is listed on pane 3, by call and process."))
	}
	m.open(&notice{title: "The answer", lines: lines}, true)
}
