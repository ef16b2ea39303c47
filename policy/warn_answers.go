package policy

import "fmt"

// warnAnswers is about answers that do more than refuse, or less.
func warnAnswers(p Policy) []Warning {
	var out []Warning
	for _, x := range []struct {
		phase Phase
		name  string
	}{{Boot, "boot"}, {Run, "run"}} {
		a := p.Answers(x.phase)
		if x.phase == Run && fmt.Sprint(a) == fmt.Sprint(p.Answers(Boot)) && !a.Default() {
			x.name = "boot and run"
			out = nil // one sentence for both
		}
		by := map[Action][]Call{}
		for _, s := range a.Single {
			by[s.Action] = append(by[s.Action], s.Call)
		}
		for _, kind := range []Action{ActKillProcess, ActTrap, ActLog} {
			whole := a.denied() == kind || a.newer() == kind
			if calls := by[kind]; whole || len(calls) > 0 {
				if whole {
					calls = nil // all of them
				}
				out = append(out, warnAnswer(x.name, kind, calls))
			}
		}
	}
	return out
}

// warnAnswer words what one of the actions is worth; calls are those that it is for,
// none: all that are not allowed.
func warnAnswer(phase string, a Action, calls []Call) Warning {
	what := "what it does not allow"
	if len(calls) > 0 {
		what = "some calls that it does not allow"
	}
	switch a {
	case ActLog:
		return Warning{
			BlockHold: true,
			Text:      fmt.Sprintf("%s only logs %s: nothing of it is denied, io_uring and all, and the kernel's log leaves most records out when there are many", phase, what),
			Remedy:    "choose an error or kill process to deny anything; a hold has nothing to answer to a logged call, and is refused",
			Calls:     calls,
		}
	case ActTrap:
		return Warning{
			Text:   fmt.Sprintf("%s traps %s: the process gets SIGSYS and dies of it, unless it has a handler of its own", phase, what),
			Remedy: "choose an error to let the call alone fail; a hold denies with EPERM, and only what is sealed, injected or exported traps",
			Calls:  calls,
		}
	}
	return Warning{
		Text:   fmt.Sprintf("%s kills the process for %s: a server of one process is gone with its first such call, one of many loses a process at each and may start it again for ever", phase, what),
		Remedy: "choose an error to let the call alone fail; a hold denies with EPERM, and only what is sealed, injected or exported kills",
		Calls:  calls,
	}
}
