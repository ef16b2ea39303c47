package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// bootHold boots a container again under a hold: NAME boot.
func (s *settings) bootHold(cmd *cobra.Command, ref, file string) error {
	if file == "" {
		return usageError{errors.New("--session FILE says what it may call: speaker hold TARGET boot --session web.speaker")}
	}
	p, err := policyIn(file)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	h, err := bench.New(s.options()).BootHeld(ctx, ref, p, func(checks []apply.Check, awaits bool) {
		noteChecks(cmd, checks)
		if awaits {
			note(cmd, "its engine cannot be told to start it from here: start it with its own tool; it is waited for")
		}
	})
	if err != nil {
		return err
	}
	if h.NewPriv {
		note(cmd, "no_new_privs had to be set in its program")
	}
	return s.status(h)
}

// noteChecks tells what the checks before a hold warn of.
func noteChecks(cmd *cobra.Command, checks []apply.Check) {
	for _, c := range checks {
		if c.Level == apply.Note || c.Level == apply.Warn {
			note(cmd, printable(fmt.Sprintf("%s: %s: %s", c.Title, c.Found, c.Why)))
		}
	}
}

// policyIn is the policy of a saved session, at its split.
func policyIn(file string) (policy.Policy, error) {
	sess, _, err := session.Open(file)
	if err != nil {
		return policy.Policy{}, err
	}
	sp, err := splitOf(sess, file)
	if err != nil {
		return policy.Policy{}, err
	}
	return sess.Policy(sp), nil
}

// lateHold chooses what becomes of who comes in later: NAME exec CHOICE.
func (s *settings) lateHold(_ context.Context, args []string) error {
	if len(args) != 3 {
		return usageError{errors.New("say what becomes of who comes in: speaker hold NAME exec boot, run or refuse")}
	}
	c := apply.LateChoice(args[2])
	switch c {
	case apply.LateBoot, apply.LateRun, apply.LateRefuse:
	default:
		return usageError{fmt.Errorf("exec %q: say boot, run or refuse", args[2])}
	}
	if s.readOnly {
		return bench.ErrReadOnly
	}
	hold, err := s.attach(args[0])
	if err != nil {
		return err
	}
	if err := hold.Late(c); err != nil {
		return err
	}
	return s.status(hold)
}

// lateLine tells of those who came into the target later.
func lateLine(l *apply.LateStatus) string {
	what := map[apply.LateChoice]string{
		apply.LateBoot:   "under the start filter, and what boot alone needs is let through",
		apply.LateRun:    "under the run filter",
		apply.LateRefuse: "refused",
	}[l.Choice]
	text := fmt.Sprintf("who comes in (exec, probes) is %s: %d caught, %d refused, %d missed", what, l.Caught, l.Refused, l.Missed)
	if l.Injected > 0 {
		text += fmt.Sprintf(", %d injected a moment after they began", l.Injected)
	}
	if !l.Catching {
		text = fmt.Sprintf("who comes in (exec, probes) is NOT caught, and starts under the container's own profile: %d caught before, %d refused, %d missed", l.Caught, l.Refused, l.Missed)
	}
	if l.Last != "" {
		text += "; " + l.Last
	}
	return text
}
