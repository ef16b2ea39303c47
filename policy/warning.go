package policy

import (
	"fmt"
	"slices"
)

// Warning is something to know before a policy is applied.
type Warning struct {
	Block     bool   // applying it would break the program, or be worth nothing
	BlockHold bool   // a hold of it would be: there it is refused
	Text      string // what is wrong
	Remedy    string // what to do about it
	Calls     []Call // the calls it is about
}

// warners each look for one thing.
var warners = []func(Policy) []Warning{
	warnNothingInRun,
	warnHardlySeen,
	warnEssentials,
	warnSeccomp,
	warnUring,
	warnFamily,
	warnDocker,
	warnForeign,
	warnRuntime,
	warnStop,
	warnExec,
	warnAdmin,
	warnConditions,
	warnAnswers,
}

// Warnings lists what speaks against applying the policy, blocking ones first.
func (p Policy) Warnings() []Warning {
	var block, rest []Warning
	for _, warn := range warners {
		for _, w := range warn(p) {
			if w.Block {
				block = append(block, w)
			} else {
				rest = append(rest, w)
			}
		}
	}
	return append(block, rest...)
}

func warnNothingInRun(p Policy) []Warning {
	for _, e := range p.entries {
		if _, essential := p.essential[e.Call]; e.Run && !essential && e.forRun() {
			return nil
		}
	}
	return []Warning{{
		Block:  true,
		Text:   "nothing that run allows was seen in run or allowed by hand: the program could not serve",
		Remedy: "record while the program serves, or move the split earlier",
	}}
}

// forRun reports whether a call that run allows is there for run's own sake, and
// not because stop, say, is included.
func (e Entry) forRun() bool {
	return e.Seen.Has(Run) || slices.ContainsFunc(e.Why, func(r Reason) bool { return r.Origin == OriginHand && r.Phase == Run })
}

// leastSeen is the number of calls below which a recording says little of run:
// an idle server makes them in a few seconds of timers and of being looked at.
const leastSeen = 50

// warnHardlySeen is about a server that was recorded while it had nothing to do.
func warnHardlySeen(p Policy) []Warning {
	var n uint64
	for _, e := range p.entries {
		n += e.Uses[Run].Count + e.Uses[Run].Earlier
	}
	if p.seen == 0 || n >= leastSeen || warnNothingInRun(p) != nil {
		return nil
	}
	return []Warning{{
		Text:   fmt.Sprintf("run was hardly seen: %d calls in all; what the program needs to serve is likely missing", n),
		Remedy: "record while it serves what it serves every day",
	}}
}

func warnEssentials(p Policy) []Warning {
	var out []Warning
	for _, c := range p.essentialCalls() {
		if !p.narrow.Has(c) {
			out = append(out, Warning{
				Block:  true,
				Text:   fmt.Sprintf("run denies %s: %s", c, p.essential[c]),
				Remedy: fmt.Sprintf("allow %s in run", c),
				Calls:  []Call{c},
			})
		}
	}
	return out
}

// warnSeccomp is about listeners: the newest filter that asks one is heard, so
// that a program may answer for itself what an older one would have asked, once
// nobody listens there. It takes seccomp(2): prctl(2) loads filters, and never
// gives a listener. No listener is heard against a filter that denies.
func warnSeccomp(p Policy) []Warning {
	calls := p.named(p.narrow, "seccomp")
	if len(calls) == 0 {
		return nil
	}
	return []Warning{{
		BlockHold: true,
		Text:      "run allows seccomp: should the keeper of a hold be killed, a process could install a listener of its own and allow itself what the hold denies; what is sealed or injected stays denied",
		Remedy:    "deny seccomp in run; sandboxes that the program sets up for its children then fail",
		Calls:     calls,
	}}
}

var uring = []string{"io_uring_setup", "io_uring_enter", "io_uring_register"}

func warnUring(p Policy) []Warning {
	if calls := p.named(p.narrow, uring...); len(calls) > 0 {
		return []Warning{{
			Block:  true,
			Text:   "run allows io_uring: what a ring does passes by every filter",
			Remedy: "deny the io_uring calls in run; most programs then use plain calls",
			Calls:  calls,
		}}
	}
	if calls := p.named(p.wide, uring...); len(calls) > 0 {
		return []Warning{{
			Text:   "boot allows io_uring: a ring made in boot still opens files and sockets in run, so that a seal is refused while there is one",
			Remedy: "deny the io_uring calls in boot; most programs then use plain calls",
			Calls:  calls,
		}}
	}
	return nil
}

// warnForeign is about calls of another ABI than the machine's own.
func warnForeign(p Policy) []Warning {
	var out []Warning
	for a := range abis {
		calls := p.wide.Of(a).Calls()
		if a == Native() || len(calls) == 0 {
			continue
		}
		out = append(out, Warning{
			Text:   fmt.Sprintf("%s calls are in use: they are a second way to everything, and the filter opens it", a),
			Remedy: fmt.Sprintf("deny them if the program does without; an exported Docker profile allows a call by name for %s and %s alike", a, Native()),
			Calls:  calls,
		})
	}
	return out
}

func warnStop(p Policy) []Warning {
	if out := p.warnGroup(Stop, "run denies calls that were seen when the program stopped: a clean stop may fail, and the engine kills it after its timeout",
		"allow them in run, or accept an unclean stop", "include stop, or accept an unclean stop"); out != nil || p.Saw(Stop) {
		return out
	}
	return []Warning{{
		Text:   "no stop was recorded: what a clean stop needs beyond run is not known",
		Remedy: "stop the program once while it is recorded",
	}}
}

func warnExec(p Policy) []Warning {
	return p.warnGroup(Exec, "run denies calls of processes that entered later: docker exec and health probes may fail",
		"allow them in run if they must work", "include exec if they must work")
}

func warnAdmin(p Policy) []Warning {
	return p.warnGroup(Admin, "run denies calls of administrative intervals: the next reload fails, and servers that replace their processes then may serve no more until they are restarted",
		"allow them in run if it must work", "include admin if it must work; else restart the container to change its configuration")
}

// warnGroup is about calls of a group that run denies, if there are any. What helps
// depends on whether the group is included.
func (p Policy) warnGroup(ph Phase, text, included, leftOut string) []Warning {
	calls := p.groupCalls(ph)
	if len(calls) == 0 {
		return nil
	}
	w := Warning{Text: text, Remedy: leftOut, Calls: calls}
	if p.Included(ph) {
		w.Remedy = included
	}
	return []Warning{w}
}

// named returns the calls of s that have one of the names, in any ABI.
func (p Policy) named(s Set, names ...string) []Call {
	var out []Call
	for a := range abis {
		for _, name := range names {
			if nr, ok := numbers()[a][name]; ok && s.Has(Call{a, nr}) {
				out = append(out, Call{a, nr})
			}
		}
	}
	return out
}
