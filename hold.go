package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"speaker/apply"
	"speaker/trace/target"
	"speaker/tui/bench"
)

func holdCommand(s *settings) *cobra.Command {
	var yes bool
	var within time.Duration
	var x only
	var asking apply.Asking
	var file string
	c := &cobra.Command{Use: "hold [NAME [status|boot|start|deny|ask|keep|allow|exec|watch|unwatch|seal|leave|end|journal]]", Short: "list the holds in place, or switch one without a screen",
		Long: `A hold outlives the workbench: its keeper answers for it. NAME is that of the hold,
or of the container that is held.

  boot    a container is started, or started again, by its engine, under the
          two-phase filter of --session FILE: all of boot and run is allowed. Its
          configuration stays as it is. What an engine cannot be told from here
          (containerd's, a pod's) is waited for
  start   a target that runs (a container, a unit, a cgroup, a pid) is held with no
          restart, under the policy of --session FILE; everything is let through
          until deny or ask, and again after allow. What then stays of it, as long as
          its processes live, is a filter that lets everything through, and
          no_new_privs where the kernel asks for it, which is said first. Once more,
          it serves processes that came since, and takes up one whose keeper was killed
  deny    removed calls are denied from now on; with --for 60s the keeper allows
          them again after that time, unless somebody keeps it by then
          with --call NAME, or --call NAME --pid N, that call alone is denied, in
          all processes or in one; allow takes them, too
  ask     each removed call waits for an answer, for 10 s or --limit: then it is
          denied, or with --otherwise-allow allowed, and no more of the same wait
  answer  ID once|allow|deny|never: the answer to question ID, for this time or
          from now on; --errno ENOSYS denies with another error
  keep    what --for would undo stays
  allow   removed calls are allowed again
  exec    boot|run|refuse: what becomes of who comes into a held container later
          (docker exec, a health check), from its first call on. boot, as it is
          at first: all of boot and run is allowed, whatever the target's mode;
          run: the run filter; refuse: it does not start
  watch   PROBE..., the target has to answer these while removed calls are denied:
          three times without, a second apart, and the keeper undoes it; they are
          written as for --ready (tcp:80, http://:8080/health, health, cmd:COMMAND),
          none takes them back; watch alone undoes unwatch
  unwatch the keeper no longer undoes a denial that goes badly: when a call is
          denied to a process 500 times within a second, or a process dies
          within 10 s of the crossing, or its probes fail
  seal    the run filter becomes permanent, is proved, and the keeper leaves;
          only with --yes, and not when the checks speak against it
  leave   nobody who comes in is caught any more, and the container's next start
          is without a filter; till then a restart by anybody is held again, in boot
  end     the keeper leaves, once its target is gone
  journal what the keeper did and why, and how its target ended, for a week after
          its end, too

docker pause stops the probes that are watched, but no time that runs (--for, a
question's). docker restart of what was booted under its hold is held again, in boot.
docker stop may need what is denied, and waits for what is asked: record a stop, or
allow before.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 4 && args[1] == "answer" || len(args) == 3 && args[1] == "exec" {
				return nil
			}
			if len(args) > 2 && args[1] != "watch" {
				return usageError{errors.New("a name and one word are enough: speaker hold NAME deny")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return s.listHolds()
			case 1:
				args = append(args, "status")
			}
			if cmd.Flags().Changed("for") && (args[1] != "deny" && args[1] != "ask" || within <= 0 || within > apply.MaxWithin) {
				return usageError{fmt.Errorf("--for goes with deny or ask, and is a time up to %s: speaker hold NAME deny --for 60s", apply.MaxWithin)}
			}
			switch args[1] {
			case "watch":
				if len(args) > 2 {
					return s.watchHold(cmd.Context(), args[0], args[2:])
				}
			case "answer":
				return s.answerHold(args, x)
			case "exec":
				return s.lateHold(cmd.Context(), args)
			case "boot":
				return s.bootHold(cmd, args[0], file)
			case "start":
				return s.startHold(cmd, args[0], file)
			}
			if cmd.Flags().Changed("session") {
				return usageError{errors.New("--session goes with boot and start: speaker hold TARGET start --session FILE")}
			}
			if x.call != "" || x.pid != 0 {
				return s.ruleHold(args[0], args[1], x)
			}
			return s.switchHold(cmd.Context(), args[0], args[1], within, asking, yes)
		}}
	c.Flags().StringVar(&file, "session", "", "the saved session whose policy holds (boot, start)")
	c.Flags().BoolVar(&yes, "yes", false, "seal without a question")
	c.Flags().StringVar(&x.call, "call", "", "deny or allow this call alone")
	c.Flags().IntVar(&x.pid, "pid", 0, "and in this process alone")
	c.Flags().Var(&x.errno, "errno", "the error of a denial, EACCES or a number (default: the policy's)")
	c.Flags().DurationVar(&asking.Limit, "limit", apply.AskWithin, "how long a thread waits for an answer (ask; up to 1m)")
	c.Flags().BoolVar(&asking.Allow, "otherwise-allow", false, "allow what nobody answers in time (ask)")
	c.Flags().DurationVar(&within, "for", 0, "deny for this long, unless it is kept (0: for good)")
	return c
}

func (s *settings) listHolds() error {
	holds, err := apply.FindHolds()
	if err != nil {
		return err
	}
	if len(holds) == 0 {
		fmt.Fprintln(s.out, "no hold is in place")
	}
	for _, h := range holds {
		fmt.Fprintf(s.out, "%-24s pid %-8d %s\n", called(h.Label, h.Name), h.Pid, standing(h))
	}
	return nil
}

// called is what people call a hold.
func called(label, name string) string { return printable(cmp.Or(label, name)) }

// standing says in a line what stands on a target, and whether anybody answers
// for it.
func standing(h apply.HoldInfo) string {
	switch {
	case h.Sealed():
		return "sealed  permanent, without a keeper"
	case !h.Alive:
		return "dead    its keeper was killed: removed calls fail with ENOSYS"
	}
	if h.Silent != "" {
		return "silent  " + printable(h.Silent)
	}
	return fmt.Sprintf("%-6s  alive", h.Mode)
}

// switchHold does one verb to the hold of that name.
func (s *settings) switchHold(ctx context.Context, name, verb string, within time.Duration, asking apply.Asking, yes bool) error {
	switch verb {
	case "status":
	case "journal":
		if h, err := bench.FindHold(name); err == nil {
			name = h.Name
		}
		return s.journal(name)
	case "deny", "ask", "keep", "allow", "watch", "unwatch", "seal", "leave", "end":
		if s.readOnly {
			return bench.ErrReadOnly
		}
	default:
		return usageError{fmt.Errorf("hold cannot %q: status, boot, start, deny, ask, answer, keep, allow, exec, watch, unwatch, seal, leave, end or journal", verb)}
	}
	if verb == "seal" && !yes {
		return hinted{fmt.Errorf("a seal is permanent: only the end of %s takes it away", name), fmt.Sprintf("when sure: speaker hold %s seal --yes", name)}
	}
	h, err := find(name)
	if err != nil {
		return err
	}
	if verb == "status" && h.Sealed() {
		fmt.Fprintf(s.out, "%s: %s\n", printable(name), standing(h))
		return nil
	}
	hold, err := apply.Attach(h.Name)
	if err != nil {
		return err
	}
	switch verb {
	case "deny":
		err = hold.DenyFor(within)
	case "ask":
		err = hold.AskFor(within, asking)
	case "keep":
		err = hold.Keep()
	case "allow":
		err = hold.Allow()
	case "watch", "unwatch":
		err = hold.Guard(verb == "watch")
	case "leave":
		err = hold.Leave()
	case "end":
		if err = hold.End(); err == nil {
			fmt.Fprintln(s.out, "ended")
			return nil
		}
	case "seal":
		return s.seal(ctx, h, hold)
	}
	if err != nil {
		return err
	}
	return s.status(hold)
}

func find(name string) (apply.HoldInfo, error) {
	h, err := bench.FindHold(name)
	if errors.Is(err, bench.ErrNoHold) {
		return h, hinted{fmt.Errorf("no hold %q is in place (its keeper leaves with its target)", name), "speaker hold lists them"}
	}
	return h, err
}

// status prints what a hold's keeper knows.
func (s *settings) status(h *apply.Hold) error {
	st, err := h.Status()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %s since %s, %d notified, %d denied\n", called(st.Label, st.Name), st.Mode, st.Since.Format(time.TimeOnly), st.Notified, st.Denied)
	if !st.Alive && st.Late != nil && st.Late.Catching {
		fmt.Fprintf(s.out, "  it has ended; started again within %s of that, by whomever, it is held again\n", apply.AgainWithin)
	}
	if !st.Watchdog {
		fmt.Fprintln(s.out, "  its watchdog is off")
	}
	if len(st.Health.Probes) > 0 {
		fmt.Fprintf(s.out, "  it has to answer while removed calls are denied: %s\n", printable(strings.Join(st.Health.Probes, ", ")))
	}
	if st.Health.Failing != "" {
		fmt.Fprintf(s.out, "  failing: %s\n", printable(st.Health.Failing))
	}
	if st.Why != "" {
		fmt.Fprintf(s.out, "  undone by its keeper: %s\n", printable(st.Why))
	}
	if left := time.Until(st.Until); !st.Until.IsZero() {
		fmt.Fprintf(s.out, "  undone in %s, at %s, unless it is kept: speaker hold %s keep\n", max(left, 0).Round(time.Second), st.Until.Format(time.TimeOnly), called(st.Label, st.Name))
	}
	if st.Late != nil {
		fmt.Fprintf(s.out, "  %s\n", printable(lateLine(st.Late)))
	}
	for _, r := range st.Rules {
		fmt.Fprintf(s.out, "  %s, by hand\n", r)
	}
	for _, q := range st.Asked {
		fmt.Fprintf(s.out, "  question %d: %s\n", q.ID, printable(q.String()))
	}
	for _, c := range st.ByCall {
		fmt.Fprintf(s.out, "  %-20s %-16s pid %d, %d times\n", c.What(), printable(c.Comm), c.Pid, c.Count)
	}
	return nil
}

// journal prints what the keeper of a hold did.
func (s *settings) journal(name string) error {
	list, err := apply.HoldJournal(name)
	if err != nil {
		return err
	}
	for _, e := range list {
		why := e.Why
		if why == "" {
			why = "it was told to"
		}
		fmt.Fprintf(s.out, "%s  %-6s  %s\n", e.At.Format(time.DateTime), printable(string(e.Mode)), printable(why))
	}
	return nil
}

// seal seals a hold.
func (s *settings) seal(ctx context.Context, i apply.HoldInfo, h *apply.Hold) error {
	t, err := target.FromCgroup(i.Cgroup)
	if i.Cgroup == "" { // a process with all that descends from it
		t, err = target.FromPid(i.Pid)
		t.Engine = "process"
	}
	if err != nil {
		return fmt.Errorf("the cgroup of %s is not to be found: is its target gone? then: speaker hold %s end: %w", called(i.Label, i.Name), called(i.Label, i.Name), err)
	}
	_, proof, err := h.Seal(ctx, t.Pids)
	if err != nil {
		return err
	}
	for _, line := range proof.Text {
		fmt.Fprintln(s.out, printable(line))
	}
	return nil
}
