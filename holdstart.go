package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"speaker/apply"
	"speaker/tui/bench"
)

// startHold puts a hold on a target that runs: NAME start.
func (s *settings) startHold(cmd *cobra.Command, ref, file string) error {
	if file == "" {
		return usageError{errors.New("--session FILE says what it may call: speaker hold TARGET start --session web.speaker")}
	}
	p, err := policyIn(file)
	if err != nil {
		return err
	}
	h, r, proof, err := bench.New(s.options()).HoldRunning(cmd.Context(), ref, p, func(checks []apply.Check) {
		noteChecks(cmd, checks)
	})
	if h == nil {
		return err
	}
	if r.NoNewPrivs > 0 {
		note(cmd, fmt.Sprintf("no_new_privs had to be set in %s; it stays, also when the hold is undone", counted(r.NoNewPrivs, "process")))
	}
	for _, line := range proof.Text {
		fmt.Fprintln(s.out, printable(line))
	}
	if err != nil {
		return hinted{err, "what is held lets everything through until you say otherwise; the same command serves what is missing"}
	}
	return s.status(h)
}
