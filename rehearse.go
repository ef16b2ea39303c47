package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

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
	var f profileFlags
	var asJSON bool
	var profile, phase string
	c := &cobra.Command{Use: "rehearse FILE", Short: "tell what a saved session's policy would have denied in it (no root needed)",
		Long: `Runs the recording against the policy, without a kernel: what would have been
denied, when, in which phase and by which process, and what is allowed that
nobody used. The exit status is 1 when anything would have been denied.

With --profile it runs it against a profile in any format that speaker reads, as
the filter of the whole life, or with --phase run as one that is put in place at
the split. Where a profile looks at arguments, it goes by the values that were
counted of those that decide what a call does (domains of sockets, flags of clone,
requests of ioctl); what they do not tell is called unsure.`,
		Args: oneArg("one session FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ph, ok := filterNames[phase]
			switch {
			case f.check() != nil:
				return f.check()
			case !ok:
				return usageError{fmt.Errorf("--phase %q: say boot (the whole life) or run (from the split on)", phase)}
			case profile == "" && phase != "boot":
				return usageError{errors.New("--phase is for --profile: a session's policy has both")}
			case profile != "" && len(groups.include)+len(groups.leaveOut) > 0:
				return usageError{errors.New("--profile takes the place of the session's policy: there are no groups to include or leave out")}
			}
			sess, _, err := session.Open(args[0])
			if err != nil {
				return err
			}
			if err := groups.apply(sess); err != nil {
				return err
			}
			for _, text := range sess.Completeness() {
				note(cmd, text)
			}
			if profile != "" {
				return s.rehearseProfile(cmd, sess, args[0], profile, f, ph == policy.Run, asJSON)
			}
			return s.rehearse(sess, args[0], asJSON)
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&profile, "profile", "", "rehearse against the profile in this file")
	c.Flags().StringVar(&phase, "phase", "boot", "what the profile is for: boot (the whole life) or run (from the split on)")
	f.add(c.Flags())
	groups.add(c.Flags())
	return c
}

// rehearse runs a recording against the session's policy.
func (s *settings) rehearse(sess *session.Session, path string, asJSON bool) error {
	sp, err := splitOf(sess, path)
	if err != nil {
		return err
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
}

// unusual words an answer that is not what a denied call gets where nobody chose.
func unusual(a policy.Action) string {
	if e := a.Errno(); e == unix.EPERM || e == unix.ENOSYS || a == 0 {
		return ""
	}
	return "; it " + a.Effect()
}

// showDenied prints what would have been denied, or logged, for people.
func showDenied(w io.Writer, word string, list []session.Denied) {
	for _, d := range list {
		when := "a thread was asleep in it"
		if d.Count > 0 {
			when = fmt.Sprintf("%d times, %s to %s", d.Count, d.First.Round(time.Millisecond), d.Last.Round(time.Millisecond))
		}
		fmt.Fprintf(w, "%-9s %s in %s: %s%s\n", word, d.Call, d.Phase, when, unusual(d.Answer))
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
}

// showRehearsal prints a rehearsal for people.
func showRehearsal(w io.Writer, r session.Rehearsal) {
	showDenied(w, "denied", r.Denied)
	showDenied(w, "logged", r.Logged)
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
	return writeJSON(w, struct {
		Denied   []deniedJSON `json:"denied"`
		Logged   []deniedJSON `json:"logged"` // not allowed, and goes through all the same
		Idle     []string     `json:"idle"`
		Unused   []string     `json:"unused"`
		Unjudged []string     `json:"unjudged"` // allowed under conditions whose arguments were not recorded
	}{deniedOf(r.Denied), deniedOf(r.Logged), callNames(r.Idle), callNames(r.Unused), callNames(r.Unjudged)})
}

// deniedJSON is a call that would have been denied, for programs.
type deniedJSON struct {
	Call      string       `json:"call"`
	Phase     string       `json:"phase"`
	Count     uint64       `json:"count"`
	FirstSecs float64      `json:"first_seconds"`
	LastSecs  float64      `json:"last_seconds"`
	InFlight  bool         `json:"in_flight"`
	By        []callerJSON `json:"by"`
	Callers   int          `json:"callers"`        // all of them, those left out too
	Refused   []string     `json:"refused_values"` // by a condition; none: the call is denied whatever its arguments
	Samples   []sampleJSON `json:"samples"`
	Answer    string       `json:"answer"` // EPERM, kill process, …
}

type callerJSON struct {
	Pid  uint32 `json:"pid"`
	Comm string `json:"comm"`
	Exe  string `json:"exe"`
	Sure bool   `json:"sure"`
}

type sampleJSON struct {
	AtSecs float64  `json:"at_seconds"`
	Pid    uint32   `json:"pid"`
	Comm   string   `json:"comm"`
	Args   []string `json:"args"` // as hexadecimal numbers: they have 64 bits
	Path   string   `json:"path"`
}

func deniedOf(all []session.Denied) []deniedJSON {
	out := []deniedJSON{}
	for _, d := range all {
		x := deniedJSON{d.Call.String(), d.Phase.String(), d.Count, d.First.Seconds(), d.Last.Seconds(), d.InFlight,
			[]callerJSON{}, d.Callers, []string{}, []sampleJSON{}, d.Answer.String()}
		for _, c := range d.By {
			x.By = append(x.By, callerJSON{c.Pid, c.Comm, c.Exe, c.Sure})
		}
		for _, v := range d.Refused {
			x.Refused = append(x.Refused, v.String())
		}
		for _, y := range d.Samples {
			x.Samples = append(x.Samples, sampleJSON{y.At.Seconds(), y.Pid, y.Comm, hexes(y.Args[:]), y.Path})
		}
		out = append(out, x)
	}
	return out
}

// hexes writes argument values.
func hexes(values []uint64) []string {
	out := []string{}
	for _, v := range values {
		out = append(out, fmt.Sprintf("%#x", v))
	}
	return out
}
