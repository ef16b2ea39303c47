package tui

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace"
	"speaker/tui/bench"
)

// tryPane is where the policy is tested and applied: what stands, what the
// live judging finds, what an apply would do, and what was tried.
type tryPane struct{ list }

func (p *tryPane) lines(n *snapshot, reloaded string) []line {
	s := n.state
	out := []line{say(strong, "Applied: %s", s.Applied), say(good, "Next: %s", next(n))}
	if s.AutoDeny && s.Applied == bench.HoldBoot {
		out = append(out, say(plainLine, "The split will be crossed by itself when its evidence shows."))
	}
	if s.FiltersBefore > 0 {
		out = append(out, say(plainLine, "Its processes had %s before anything was applied here; what those deny stays denied.", plural(s.FiltersBefore, "filter")))
	}
	if s.Load != "" {
		out = append(out, say(plainLine, "%s", s.Load))
	}
	if reloaded != "" {
		out = append(out, say(plainLine, "%s", reloaded))
	}
	if s.Applied != bench.Nothing {
		out = append(out, procRows("Denied since something was applied", s.Denied, "nothing was denied", bad)...)
	}
	out = append(out, holdLines(n)...)
	if s.DryRun {
		out = append(append(out, dryRunLines(s)...), refusedLines(s)...)
	} else if s.Mode == bench.Live && !s.Ended {
		out = append(out, say(dimLine, "Dry run is off: d judges the live target against the run set; nothing is denied."))
	}
	out = append(out, adminLines(n)...)
	out = append(out, tried(n)...)
	if n.state.InPlace != nil {
		return append(out, foretellHeld(n, true)...)
	}
	out = append(out, say(strong, "What applying the run set means"))
	return append(out, foretell(n, true)...)
}

// next is the step that a newcomer is looking for.
func next(n *snapshot) string {
	s := n.state
	switch {
	case s.Mode == bench.File:
		return "rehearse by editing the sets (2); x exports the policy"
	case s.Again != 0 && s.Recorded:
		return fmt.Sprintf("it has ended, and was started again by somebody else (pid %d): that is recorded since its first call, and R goes there", s.Again)
	case s.Again != 0:
		return fmt.Sprintf("it has ended, and was started again by somebody else (pid %d): R watches it, in a new recording", s.Again)
	case s.Ended:
		return "the target has ended; b boots it again, x exports the policy"
	}
	switch s.Applied {
	case bench.HoldBoot:
		if s.AutoDeny {
			return "wait: the split is crossed by itself when its evidence shows; c crosses it now"
		}
		return "let it boot; once it serves, c crosses the split: removed calls are denied, z undoes it"
	case bench.HoldDeny, bench.HoldAsk:
		if q := open(n); len(q) > 0 {
			return fmt.Sprintf("Q answers the question that waits (%s by %s)", q[0].What(), q[0].Comm)
		}
		if left := n.keepSeconds(); left > 0 {
			return fmt.Sprintf("K keeps it (%d s left, then the keeper undoes it); z undoes it now", left)
		}
		return "watch what is denied; z undoes, S makes it permanent"
	case bench.Bereft:
		return "its keeper was killed: removed calls fail with ENOSYS, for good; b boots it again"
	case bench.HoldOpen:
		return "c crosses the split again; S makes it permanent"
	case bench.Sealed, bench.Injected:
		return "P proves it again; x exports the policy for the next start"
	}
	switch {
	case n.standing == noSplit:
		return "let it serve until a split is proposed, or set one with [ and ]"
	case n.standing == suggested:
		return "a accepts the proposed split; [ and ] move it"
	case s.Item.Engine == "demo" || s.Item.Engine == "run":
		return "d dry run; H boots it under the two-phase filter (reversible)"
	}
	if s.Item.CanBoot {
		return "d dry run; H boots it again under the two-phase filter (reversible); I injects the run filter for good"
	}
	return "d dry run; f checks; I injects the run filter for good"
}

// holdLines tell what the hold's supervisor answers.
func holdLines(n *snapshot) []line {
	h := n.state.Hold
	if h == nil {
		return nil
	}
	out := []line{say(strong, "Hold %s (%s): the keeper was asked %d times, and denied %d:", cmp.Or(h.Label, h.Name), h.Mode, h.Notified, h.Denied)}
	if h.Why != "" {
		out = append(out, say(bad, "  %s%s", bench.UndoneBy, h.Why))
	}
	if !h.Watchdog {
		out = append(out, say(warn, "  its watchdog is off (B): nobody undoes a storm of denials, or what dies"))
	}
	if len(h.Health.Probes) > 0 {
		out = append(out, say(plainLine, "  while removed calls are denied it has to answer: %s", listed(h.Health.Probes, 5)))
	}
	if h.Health.Failing != "" {
		out = append(out, say(bad, "  failing: %s", h.Health.Failing))
	}
	out = append(out, lateLines(h.Late)...)
	if !h.Alive {
		out = append(out, say(bad, "  its target or keeper is gone"))
	}
	for _, r := range h.Rules {
		out = append(out, say(warn, "  %s, by hand", r))
	}
	for _, q := range h.Asked {
		out = append(out, say(warn, "  ? %s by %s (%s, pid %d), %s, %s", q.What(), q.Image, q.Comm, q.Pid, plural(int(q.Count), "time"), patienceOf(q, n.at)))
	}
	for i, c := range h.ByCall {
		if i == 12 {
			out = append(out, say(dimLine, "  and %d more", len(h.ByCall)-i))
			break
		}
		out = append(out, say(plainLine, "  %-18s %-15s pid %-7d %s", c.What(), c.Comm, c.Pid, plural(int(c.Count), "time")))
	}
	return out
}

// dryRunLines tell what the dry run found. What entered later is told apart: an
// injection does not reach it.
func dryRunLines(s bench.State) []line {
	would, later := parted(s.WouldDeny)
	out := procRows("Dry run: run would deny", would, "nothing so far: the run set of now allows every call since", warn)
	if len(later) > 0 {
		out = append(out, procRows("Entered later (docker exec, probes): an injection does not reach these, an exported run profile would deny", later, "", dimLine)...)
	}
	if len(s.Joined) > 0 {
		calls := map[string]bool{}
		for _, r := range s.Joined {
			calls[bench.CallOf(r).String()] = true
		}
		out = append(out, say(plainLine, "Not in run when the dry run met them, and in it by now: %s", listed(slices.Sorted(maps.Keys(calls)), 20)))
	}
	return out
}

// parted sets the rows of processes that entered later apart.
func parted(rows []trace.ProcRow) (own, later []trace.ProcRow) {
	for _, r := range rows {
		if r.Group == trace.Exec {
			later = append(later, r)
		} else {
			own = append(own, r)
		}
	}
	return own, later
}

// wouldFail are the calls that the dry run foretells to be denied.
func wouldFail(s bench.State) int {
	own, _ := parted(s.WouldDeny)
	calls := map[policy.Call]bool{}
	for _, r := range own {
		calls[bench.CallOf(r)] = true
	}
	for _, r := range s.WouldRefuse {
		if r.Group != trace.Exec {
			calls[r.Call] = true
		}
	}
	return len(calls)
}

// procRows list calls by process.
func procRows(title string, rows []trace.ProcRow, none string, l look) []line {
	if len(rows) == 0 {
		return []line{say(strong, "%s", title), say(good, "  %s", none)}
	}
	out := []line{say(strong, "%s", title+":")}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b trace.ProcRow) int {
		return cmp.Or(cmp.Compare(bench.CallOf(a).String(), bench.CallOf(b).String()), cmp.Compare(a.Pid, b.Pid))
	})
	for _, r := range rows {
		c := bench.CallOf(r)
		text := fmt.Sprintf("  %-18s %-15s pid %-7d %s", c.String(), r.Comm, r.Pid, plural(int(r.Count), "time"))
		if r.Errno != 0 {
			text += ", " + errnoName(r.Errno)
		}
		out = append(out, line{l, text})
	}
	return out
}

// errnoName is "EPERM" for 1.
func errnoName(errno int32) string {
	if s := unix.ErrnoName(unix.Errno(errno)); s != "" {
		return s
	}
	return fmt.Sprintf("errno %d", errno)
}

// tried lists the trials, newest first.
func tried(n *snapshot) []line {
	if len(n.trials) == 0 {
		return nil
	}
	out := []line{say(strong, "Tried, newest first:")}
	for i := len(n.trials) - 1; i >= 0 && len(out) < 9; i-- {
		t := n.trials[i]
		l, word := good, "ok"
		if !t.OK {
			l, word = bad, "FAILED"
		}
		out = append(out, say(l, "  %s  %s %s: %s", offset(t.At), t.Kind, word, t.Text))
	}
	return out
}

func (p *tryPane) draw(d *draw, n *snapshot, reloaded string, to rect, focused bool) []string {
	all := d.textRows(p.lines(n, reloaded), to.w)
	shown, _ := all.keep(p.filter)
	return d.body(textHead(d, &p.list, shown, all, to), shown, &p.list, to, focused)
}
