package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// switchWho switches counting per process.
func (m *model) switchWho() tea.Cmd {
	s := m.snap.state
	if s.Mode == bench.File {
		m.say(warn, bench.ErrFile.Error())
		return nil
	}
	ok := "calls are counted per process: v tells who makes one"
	if s.ByProcess {
		ok = "calls are no longer counted per process"
	}
	w := m.work
	return m.quick("count per process", ok, func() error { return w.WatchProcesses(!s.ByProcess) })
}

// shownOf is how many values or processes of a call are listed.
const shownOf = 12

// called tells with which deciding arguments a call was made, and by whom.
func called(s *session.Session, c policy.Call, n *snapshot) []line {
	return slices.Concat(seenByRuns(s.Runs(), c), values(s.Arguments(), c, n), callers(s.Processes(), c, n))
}

// seenByRuns lists the recordings of a merged session that have a call, and those
// that do not.
func seenByRuns(runs []session.Run, c policy.Call) []line {
	var out, without []line
	for _, r := range runs {
		if phases := r.PhasesOf(c); phases != 0 {
			out = append(out, say(plainLine, "  %s: in %s", r.Label(), phases))
		} else {
			without = append(without, say(dimLine, "  %s: not seen", r.Label()))
		}
	}
	if out = append(out, without...); len(out) > shownOf {
		out = append(out[:shownOf], say(dimLine, "  and %d other recordings", len(runs)-shownOf))
	}
	if len(out) > 0 {
		out = append([]line{say(strong, "by recording:")}, out...)
	}
	return out
}

// values lists argument values, those used in run first.
func values(all []session.Argument, c policy.Call, n *snapshot) []line {
	list := slices.DeleteFunc(all, func(a session.Argument) bool { return a.Call != c })
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b session.Argument) int { return cmp.Compare(b.Last, a.Last) })
	out := []line{say(strong, "with these arguments:")}
	for i, a := range list {
		if i == shownOf {
			out = append(out, say(dimLine, "  and %d other values", len(list)-i))
			break
		}
		words := make([]string, len(a.Values))
		for j, v := range a.Values {
			words[j] = fmt.Sprintf("%#x", v)
		}
		out = append(out, say(plainLine, "  %-20s %s, last at %s%s", strings.Join(words, " "), plural(int(a.Count), "time"), offset(a.Last), inRun(a.Last, n)))
	}
	return out
}

// callers lists who made a call, the busiest first.
func callers(all []session.ProcessUse, c policy.Call, n *snapshot) []line {
	list := slices.DeleteFunc(all, func(u session.ProcessUse) bool { return u.Call != c })
	if len(list) == 0 {
		if n.state.Mode == bench.Live && !n.state.ByProcess {
			return []line{say(dimLine, "w counts per process, to tell who makes it")}
		}
		return nil
	}
	slices.SortStableFunc(list, func(a, b session.ProcessUse) int { return cmp.Compare(b.Count, a.Count) })
	out := []line{say(strong, "by these processes:")}
	for i, u := range list {
		if i == shownOf {
			out = append(out, say(dimLine, "  and %d more", len(list)-i))
			break
		}
		text := fmt.Sprintf("  %-15s pid %-7d %s, last at %s%s", u.Comm, u.Pid, plural(int(u.Count), "time"), offset(u.Last), inRun(u.Last, n))
		if u.Exe != "" {
			text += ", " + u.Exe
		}
		out = append(out, line{plainLine, text})
	}
	return out
}

// inRun marks what was used after the split.
func inRun(last time.Duration, n *snapshot) string {
	if n.standing != noSplit && last > n.split.At {
		return " (run)"
	}
	return ""
}
