package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"speaker/apply"
	"speaker/tui/bench"
)

// modes are what checks can be made before, by what the user calls them.
var modes = map[string]apply.Mode{"inject": apply.ModeInject, "hold": apply.ModeHold, "seal": apply.ModeSeal}

func checkCommand(s *settings) *cobra.Command {
	var f profileFlags
	var file, profile, before string
	var asJSON bool
	c := &cobra.Command{Use: "check TARGET", Short: "make the checks that come before a filter is applied to a running target",
		Long: `Looks for what speaks against applying a policy to a running target: what each check
found, why that matters, what can be done about it, and whether it keeps speaker from
applying. Each thread is stopped for a moment, to read its filters; nothing is changed.

The policy is that of a saved session (--session), or what a profile in any format
that speaker reads allows (--profile); of a target that is held, that of its hold.

The exit status is 0 only when nothing blocks.`,
		Args: oneArg("one TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var mode *apply.Mode
			if before != "" {
				m, ok := modes[before]
				if !ok {
					return usageError{fmt.Errorf("--before %q: say inject, hold or seal", before)}
				}
				mode = &m
			}
			want, err := proveWant(cmd, &f, file, profile)
			if err != nil {
				return err
			}
			x, err := bench.New(s.options()).Check(cmd.Context(), args[0], want, mode)
			if errors.Is(err, bench.ErrNoPolicy) {
				return hinted{fmt.Errorf("%s: %w", args[0], err), "name it: --session FILE or --profile FILE"}
			}
			if err != nil {
				return err
			}
			if asJSON {
				err = checksJSON(s.out, x)
			} else {
				showChecks(s.out, x)
			}
			if n := blocking(x.Checks); err == nil && n > 0 {
				err = fmt.Errorf("%s before %s %s", counted(n, "finding"), nameOf(x.Mode), map[bool]string{true: "blocks it", false: "block it"}[n == 1])
			}
			return err
		}}
	f.add(c.Flags())
	c.Flags().StringVar(&file, "session", "", "check for the policy of this saved session")
	c.Flags().StringVar(&profile, "profile", "", "check for the profile in this file")
	c.Flags().StringVar(&before, "before", "", "check before this: inject, hold or seal (default: a seal of what is held, else inject)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func blocking(checks []apply.Check) (n int) {
	for _, c := range checks {
		if c.Level == apply.Block {
			n++
		}
	}
	return n
}

func nameOf(m apply.Mode) string {
	for name, x := range modes {
		if x == m {
			return name
		}
	}
	return "?"
}

// showChecks prints checks for people, the weightiest first.
func showChecks(w io.Writer, x bench.Checked) {
	fmt.Fprintf(w, "%s, before %s under %s\n", printable(x.Target.Ref()), nameOf(x.Mode), x.Policy)
	checks := slices.Clone(x.Checks)
	slices.SortStableFunc(checks, func(a, b apply.Check) int { return int(b.Level) - int(a.Level) })
	for _, c := range checks {
		found := ""
		if c.Found != "" {
			found = ": " + printable(c.Found)
		}
		fmt.Fprintf(w, "%-8s %s%s\n", c.Level, c.Title, found)
		if c.Level == apply.OK {
			continue
		}
		if c.Why != "" {
			fmt.Fprintf(w, "         %s\n", printable(c.Why))
		}
		if c.Remedy != "" {
			fmt.Fprintf(w, "         remedy: %s\n", printable(c.Remedy))
		}
	}
}

// checksJSON prints checks for programs, in the order in which they are made.
func checksJSON(w io.Writer, x bench.Checked) error {
	type check struct {
		ID     string `json:"id"`
		Title  string `json:"title"`
		Level  string `json:"level"`
		Blocks bool   `json:"blocks"`
		Found  string `json:"found"`
		Why    string `json:"why"`
		Remedy string `json:"remedy"`
	}
	out := struct {
		Target string  `json:"target"`
		Before string  `json:"before"`
		Policy string  `json:"policy"`
		Blocks bool    `json:"blocks"`
		Checks []check `json:"checks"`
	}{x.Target.Ref(), nameOf(x.Mode), x.Policy, apply.Blocked(x.Checks), []check{}}
	for _, c := range x.Checks {
		out.Checks = append(out.Checks, check{c.ID, c.Title, c.Level.String(), c.Level == apply.Block, c.Found, c.Why, c.Remedy})
	}
	return writeJSON(w, out)
}
