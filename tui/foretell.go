package tui

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// reloadNeeds is what the recording knows of the demo's administrative
// request: which calls were in use while it was answered.
type reloadNeeds struct {
	at    time.Duration
	calls []policy.Call
	// failed is what the newest request was answered with, when it failed.
	failed   string
	failedAt time.Duration
}

// reloadTakes is how long after its mark a request is taken to be at work.
const reloadTakes = 700 * time.Millisecond

// findReload looks at the last administrative request on the recording that was
// answered. One that failed ended early, and tells little of what it needs.
func findReload(s *session.Session, marks []session.Mark) (n reloadNeeds) {
	failed, later := false, false
	for i := len(marks) - 1; i >= 0; i-- {
		m := marks[i]
		why, isFailure := strings.CutPrefix(m.Text, bench.ReloadFailed)
		switch {
		case m.Kind != session.MarkUser:
		case isFailure:
			failed = true
			if !later {
				n.failed, n.failedAt, later = why, m.At, true
			}
		case m.Text == bench.ReloadMark && failed:
			failed = false
		case m.Text == bench.ReloadMark:
			n.at = m.At
			obs := s.Observed(session.Split{At: m.At, Stop: m.At + reloadTakes})
			for _, u := range slices.Concat(obs[policy.Run], obs[policy.Admin]) {
				n.calls = append(n.calls, u.Call)
			}
			slices.SortFunc(n.calls, policy.Call.Compare)
			n.calls = slices.Compact(n.calls)
			return n
		}
	}
	return n
}

// names writes calls by name.
func names(calls []policy.Call) []string {
	out := make([]string, len(calls))
	for i, c := range calls {
		out[i] = c.String()
	}
	return out
}

// sortedNames writes the calls of a set by name, in the order of the names.
func sortedNames(s policy.Set) []string {
	out := names(s.Calls())
	slices.Sort(out)
	return out
}

// foretellReload says what the administrative request will meet.
func foretellReload(n *snapshot, needs reloadNeeds) []line {
	out := []line{say(plainLine, "The demo is asked to reload: it reads its configuration anew and rotates its log.")}
	if n.state.Applied == bench.HoldBoot {
		return append(out, say(good, "Nothing is denied yet (applied: %s): it should be answered.", n.state.Applied),
			say(plainLine, "The filter in place is fixed: what the request needs beyond the run set is denied once the split is crossed."))
	}
	if !denies(n.state.Applied) {
		out = append(out, say(good, "Nothing is denied at present (applied: %s): it should be answered.", n.state.Applied))
		if miss := missing(needs.calls, n.policy.Narrow()); len(miss) > 0 && n.standing != noSplit {
			return append(out, say(bad, "Foretold: under the run set of now it will fail. When it was last answered, it used %s, which run does not allow:",
				plural(len(miss), "call")), say(bad, "  %s", strings.Join(names(miss), ", ")))
		}
		return append(out, say(plainLine, "What it uses after the split is recorded as %s. With the dry run on (d), what it needs beyond the run set is listed by call and process.", recordedAs(n)))
	}
	narrow := n.inPlace().Narrow()
	gone := n.known().Minus(narrow)
	miss := missing(needs.calls, narrow)
	switch {
	case len(miss) > 0:
		out = append(out, say(bad, "Foretold: it will fail. When it was last answered, it used %s, which the filter in place does not allow:",
			plural(len(miss), "call")), say(bad, "  %s", strings.Join(names(miss), ", ")),
			say(plainLine, "Each answers %s.", answers(n.inPlace(), miss)))
	case needs.failed != "":
		out = append(out, say(bad, "Foretold: it will fail, unless what was denied is allowed since. It was last sent at %s, and failed: %s", offset(needs.failedAt), needs.failed))
	case len(needs.calls) > 0:
		out = append(out, say(good, "Foretold: it will be answered. All calls it used before are allowed by the filter in place."))
	default:
		out = append(out, say(warn, "It was never seen: what it needs is not known. It fails if it needs one of these, which the filter in place does not allow:"),
			say(warn, "  %s", strings.Join(sortedNames(gone), ", ")), say(plainLine, "Each answers %s.", answers(n.inPlace(), gone.Calls())))
	}
	return append(out, say(plainLine, "Serving goes on in any case."))
}

// recordedAs says what becomes of the calls that are made now.
func recordedAs(n *snapshot) string {
	if slices.ContainsFunc(n.admins, func(a session.Admin) bool { return a.To == 0 }) {
		return "admin, for a reload is marked"
	}
	return "run, and so allowed there unless you deny it; ( before it and ) after it make that admin"
}

// missing are the calls that a set does not have.
func missing(calls []policy.Call, s policy.Set) []policy.Call {
	return slices.DeleteFunc(slices.Clone(calls), s.Has)
}

// denies reports whether removed calls fail now.
func denies(a bench.Applied) bool {
	return a == bench.HoldDeny || a == bench.HoldAsk || a == bench.Sealed || a == bench.Injected || a == bench.Bereft
}

// answers says what the denied calls return: "EPERM", or "EPERM; newer calls ENOSYS".
func answers(p policy.Policy, calls []policy.Call) string {
	spec := p.NarrowSpec()
	var out []string
	seen := map[string]bool{}
	for _, c := range calls {
		a := spec.Want(c)
		if s := fmt.Sprint(a); a.Kind() != policy.ActAllow && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return strings.Join(out, " or ")
}

// foretell says what applying the run set will do: how much it removes, what
// the recording would have lost under it, and, unless the checks that are shown
// with it have told so, what speaks against it.
func foretell(n *snapshot, warnings bool) []line {
	narrow := n.policy.Narrow()
	gone := n.policy.Wide().Minus(narrow)
	out := []line{say(strong, "Run allows %s; %d that boot uses are removed.", plural(narrow.Len(), "call"), gone.Len())}
	if n.standing == noSplit && n.state.Applied == bench.Nothing {
		out = append(out, say(warn, "No split yet: everything seen so far counts as boot."))
	}
	if n.standing == suggested && n.state.Applied == bench.Nothing {
		out = append(out, say(warn, "The split at %s is only proposed: accept it with a.", offset(n.split.At)))
	}
	out = append(out, rehearsed(n.rehearsal, warnings)...)
	if warnings {
		for _, w := range n.warnings {
			out = append(out, warned(w)...)
		}
	}
	return append(out, removedLines(gone)...)
}

// removedLines names what is removed.
func removedLines(gone policy.Set) []line {
	if gone.Len() == 0 {
		return nil
	}
	return []line{say(plainLine, "Removed: %s", strings.Join(sortedNames(gone), ", "))}
}

// foretellHeld is foretell for the filter in place, which neither edits nor a
// moved split change any more.
func foretellHeld(n *snapshot, warnings bool) []line {
	in := n.inPlace()
	narrow := in.Narrow()
	gone := n.known().Minus(narrow)
	out := []line{say(strong, "The filter in place allows %s in run; %d known ones are removed.", plural(narrow.Len(), "call"), gone.Len())}
	if warnings {
		for _, w := range in.Warnings() {
			out = append(out, warned(w)...)
		}
	}
	return append(append(out, drifted(n)...), removedLines(gone)...)
}

// drifted says how the sets on screen differ from the filter in place.
func drifted(n *snapshot) []line {
	in, now := n.inPlace().Narrow(), n.policy.Narrow()
	var out []line
	if more := now.Minus(in); more.Len() > 0 {
		out = append(out, say(warn, "On the sets run allows more, which this filter removes all the same: %s", listed(sortedNames(more), 20)))
	}
	if less := in.Minus(now); less.Len() > 0 {
		out = append(out, say(warn, "On the sets run does not allow, as this filter does: %s", listed(sortedNames(less), 20)))
	}
	var other []string
	for c := range in.Intersect(now).All() {
		if !reflect.DeepEqual(n.inPlace().When(policy.Run, c), n.policy.When(policy.Run, c)) {
			other = append(other, c.String())
		}
	}
	if other != nil {
		out = append(out, say(warn, "On the sets the conditions on these are others than in this filter: %s", listed(other, 20)))
	}
	if was, is := n.inPlace().Answers(policy.Run).String(), n.policy.Answers(policy.Run).String(); was != is {
		out = append(out, say(warn, "On the sets what denied calls get is other than in this filter: %q, not %q", is, was))
	}
	if out != nil {
		out = append(out, say(plainLine, "  remedy: a filter stays as it was made; boot the target again to use the sets as they are now"))
	}
	return out
}

// rehearsed says what the recording would have lost; whole adds who made these
// calls, samples of them, and what nobody used.
func rehearsed(r session.Rehearsal, whole bool) []line {
	var later, reloads []policy.Call
	own := slices.DeleteFunc(slices.Clone(r.Denied), func(d session.Denied) bool {
		switch d.Phase {
		case policy.Exec:
			later = append(later, d.Call)
		case policy.Admin:
			reloads = append(reloads, d.Call)
		}
		return d.Phase == policy.Exec || d.Phase == policy.Admin
	})
	out := []line{say(good, "Rehearsal: nothing the recording has after the split would be denied.")}
	if len(own) > 0 {
		out = []line{say(bad, "Rehearsal: of what the recording has, %s would be denied:", plural(len(own), "call"))}
	}
	for _, d := range own {
		text := fmt.Sprintf("%s, last at %s", plural(int(d.Count), "time"), offset(d.Last))
		if d.InFlight {
			text += ", and a thread sleeps in it"
		}
		out = append(out, say(bad, "  ! %-18s in %-4s %s%s", d.Call.String(), d.Phase, text, unusual(d.Answer)))
		for _, v := range d.Refused {
			out = append(out, say(bad, "      the condition refuses %s, %s in all", v, plural(int(v.Count), "time")))
		}
		if whole {
			out = append(out, deniedDetail(d)...)
		}
	}
	if len(r.Logged) > 0 {
		var logged []policy.Call
		for _, d := range r.Logged {
			logged = append(logged, d.Call)
		}
		out = append(out, say(warn, "Not allowed, and only logged: %s", listed(names(logged), 12)))
	}
	if len(reloads) > 0 {
		out = append(out, say(warn, "Reloads (admin) used %s outside run: %s. The next one fails.", plural(len(reloads), "call"), listed(names(reloads), 12)))
	}
	if len(later) > 0 {
		out = append(out, say(warn, "What entered later (docker exec, probes) used %s outside run: %s. An injection does not reach such processes; a hold or an exported run profile denies them.",
			plural(len(later), "call"), listed(names(later), 12)))
	}
	if len(r.Unjudged) > 0 {
		out = append(out, say(warn, "Not judged, for the arguments that their conditions look at were not recorded: %s", listed(names(r.Unjudged), 12)))
	}
	if whole && len(r.Idle) > 0 {
		out = append(out, say(dimLine, "Run allows, and nothing used after boot: %s", listed(names(r.Idle), 12)))
	}
	if whole && len(r.Unused) > 0 {
		out = append(out, say(dimLine, "Boot allows, and nothing used at all: %s", listed(names(r.Unused), 12)))
	}
	return out
}

// deniedDetail says who made a denied call, and shows samples of it.
func deniedDetail(d session.Denied) []line {
	var out []line
	for _, c := range d.By {
		text := fmt.Sprintf("      by %s pid %d, %s", c.Comm, c.Pid, plural(int(c.Count), "time"))
		if !c.Whole {
			text += " in all"
		}
		if !c.Sure {
			text += ", perhaps not in " + d.Phase.String()
		}
		out = append(out, line{plainLine, text})
	}
	if more := d.Callers - len(d.By); more > 0 {
		out = append(out, say(dimLine, "      and by %s more", plural(more, "process")))
	}
	for _, x := range d.Samples {
		text := fmt.Sprintf("      sample %s pid %d %s", offset(x.At), x.Pid, x.Comm)
		if x.Path != "" {
			text += fmt.Sprintf(" %q", x.Path)
		}
		out = append(out, line{dimLine, text})
	}
	return out
}

// warned words a warning of the policy.
func warned(w policy.Warning) []line {
	kind, head := warn, "warning: "
	if w.Block {
		kind, head = bad, "BLOCKS: "
	}
	out := []line{say(kind, "%s%s", head, w.Text)}
	if len(w.Calls) > 0 {
		out = append(out, say(dimLine, "  calls: %s", listed(names(w.Calls), 12)))
	}
	if w.Remedy != "" {
		out = append(out, say(plainLine, "  remedy: %s", w.Remedy))
	}
	return out
}
