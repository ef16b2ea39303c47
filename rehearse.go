package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"speaker/policy"
	"speaker/session"
)

// groupFlags include groups of calls in the filters or leave them out, for one
// command: the file is not changed.
type groupFlags struct{ include, leaveOut []string }

func (g *groupFlags) add(f *pflag.FlagSet) {
	f.StringSliceVar(&g.include, "include", nil, "groups to include in the filters: stop, exec, admin")
	f.StringSliceVar(&g.leaveOut, "leave-out", nil, "groups to leave out of the filters: stop, exec, admin")
}

// apply makes the edits in memory.
func (g *groupFlags) apply(s *session.Session) error {
	for _, x := range []struct {
		op    policy.EditOp
		names []string
	}{{policy.OpInclude, g.include}, {policy.OpLeaveOut, g.leaveOut}} {
		for _, name := range x.names {
			ph, ok := groupOf(name)
			if !ok {
				return usageError{fmt.Errorf("--%s %q: there is stop, exec, admin", x.op, name)}
			}
			s.AddEdit(policy.Edit{At: time.Now(), Op: x.op, Phase: ph})
		}
	}
	return nil
}

func groupOf(name string) (policy.Phase, bool) {
	for _, ph := range policy.Groups() {
		if ph.String() == name {
			return ph, true
		}
	}
	return 0, false
}

func rehearseCommand(s *settings) *cobra.Command {
	var groups groupFlags
	var asJSON bool
	c := &cobra.Command{Use: "rehearse FILE", Short: "tell what a saved session's policy would have denied in it (no root needed)",
		Long: `Runs the recording against the policy, without a kernel: what would have been
denied, when, in which phase and by which process, and what is allowed that
nobody used. The exit status is 1 when anything would have been denied.`,
		Args: oneArg("one session FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sess, _, err := session.Open(args[0])
			if err != nil {
				return err
			}
			for _, text := range sess.Completeness() {
				note(cmd, text)
			}
			if err := groups.apply(sess); err != nil {
				return err
			}
			sp, ok := sess.Split()
			if !ok {
				return hinted{errors.New("the session has no split, so no policy"), "speaker open " + args[0] + " and accept or set one"}
			}
			r := session.Rehearse(sess, sp, sess.Policy(sp))
			if asJSON {
				err = rehearsalJSON(s.out, r)
			} else {
				showRehearsal(s.out, r)
			}
			if err == nil && len(r.Denied) > 0 {
				err = fmt.Errorf("the policy would have denied %d calls", len(r.Denied))
			}
			return err
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	groups.add(c.Flags())
	return c
}

// showRehearsal prints a rehearsal for people.
func showRehearsal(w io.Writer, r session.Rehearsal) {
	for _, d := range r.Denied {
		when := "a thread was asleep in it"
		if d.Count > 0 {
			when = fmt.Sprintf("%d times, %s to %s", d.Count, d.First.Round(time.Millisecond), d.Last.Round(time.Millisecond))
		}
		fmt.Fprintf(w, "denied    %s in %s: %s\n", d.Call, d.Phase, when)
		for _, v := range d.Refused {
			fmt.Fprintf(w, "          the condition refuses %s, %d times in all\n", v, v.Count)
		}
		for _, c := range d.By {
			fmt.Fprintf(w, "          by %s (pid %d)\n", printable(c.Comm), c.Pid)
		}
		for _, x := range d.Samples {
			fmt.Fprintf(w, "          sample at %s by %s (pid %d) %s\n", x.At.Round(time.Millisecond), printable(x.Comm), x.Pid, printable(x.Path))
		}
	}
	if len(r.Denied) == 0 {
		fmt.Fprintln(w, "nothing would have been denied")
	}
	for _, c := range r.Unjudged {
		fmt.Fprintf(w, "unjudged  %s: allowed under a condition, and the arguments that it looks at were not recorded\n", c)
	}
	for _, c := range r.Idle {
		fmt.Fprintf(w, "idle      %s: run allows it, and nothing used it after boot\n", c)
	}
	for _, c := range r.Unused {
		fmt.Fprintf(w, "unused    %s: boot allows it, and nothing used it\n", c)
	}
}

// rehearsalJSON prints a rehearsal for programs. Lists are never null.
func rehearsalJSON(w io.Writer, r session.Rehearsal) error {
	type caller struct {
		Pid  uint32 `json:"pid"`
		Comm string `json:"comm"`
		Exe  string `json:"exe"`
		Sure bool   `json:"sure"`
	}
	type denied struct {
		Call      string   `json:"call"`
		Phase     string   `json:"phase"`
		Count     uint64   `json:"count"`
		FirstSecs float64  `json:"first_seconds"`
		LastSecs  float64  `json:"last_seconds"`
		InFlight  bool     `json:"in_flight"`
		By        []caller `json:"by"`
		Refused   []string `json:"refused_values"` // by a condition; none: the call is denied whatever its arguments
	}
	out := struct {
		Denied   []denied `json:"denied"`
		Idle     []string `json:"idle"`
		Unused   []string `json:"unused"`
		Unjudged []string `json:"unjudged"` // allowed under conditions whose arguments were not recorded
	}{[]denied{}, callNames(r.Idle), callNames(r.Unused), callNames(r.Unjudged)}
	for _, d := range r.Denied {
		x := denied{d.Call.String(), d.Phase.String(), d.Count, d.First.Seconds(), d.Last.Seconds(), d.InFlight, []caller{}, []string{}}
		for _, c := range d.By {
			x.By = append(x.By, caller{c.Pid, c.Comm, c.Exe, c.Sure})
		}
		for _, v := range d.Refused {
			x.Refused = append(x.Refused, v.String())
		}
		out.Denied = append(out.Denied, x)
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(escaped(text), '\n'))
	return err
}

// showAdmin prints the marked and the recognised reloads.
func showAdmin(w io.Writer, s *session.Session, p policy.Policy, sp session.Split, has bool) {
	for _, a := range s.Admins() {
		end := "not ended"
		if a.To != 0 {
			end = "to " + a.To.Round(time.Millisecond).String()
		}
		fmt.Fprintf(w, "admin     %s %s: %s (%s)\n", a.From.Round(time.Millisecond), end, printable(a.How), printable(a.By))
	}
	if !has {
		return
	}
	if alone := p.Alone(policy.Admin); len(alone) > 0 {
		word := "run allows these for it alone"
		if !p.Included(policy.Admin) {
			word = "left out: run denies these, and the next reload fails"
		}
		fmt.Fprintf(w, "          %s: %v\n", word, policy.NewSet(alone...))
	}
	for _, r := range s.Recognise(sp) {
		fmt.Fprintf(w, "reload?   %s to %s: %s; nowhere else in run: %v\n", r.From.Round(time.Millisecond), r.To.Round(time.Millisecond),
			printable(r.How), policy.NewSet(r.Calls...))
	}
}
