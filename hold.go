package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"speaker/apply"
	"speaker/trace/target"
)

func holdCommand(s *settings) *cobra.Command {
	return &cobra.Command{Use: "hold [NAME [status|deny|allow|seal|end]]", Short: "list the holds in place, or switch one without a screen",
		Long: `A hold outlives the workbench: its keeper answers for it.

  deny    removed calls are denied from now on
  allow   removed calls are allowed again
  seal    the run filter becomes permanent, is proved, and the keeper leaves
  end     the keeper leaves, once its target is gone`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 2 {
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
			return s.switchHold(cmd.Context(), args[0], args[1])
		}}
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
		fmt.Fprintf(s.out, "%-24s pid %d\n", printable(h.Name), h.Pid)
	}
	return nil
}

func (s *settings) switchHold(ctx context.Context, name, verb string) error {
	holds, err := apply.FindHolds()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(holds, func(h apply.HoldInfo) bool { return h.Name == name })
	switch {
	case i < 0:
		return hinted{fmt.Errorf("no hold %q is in place (its keeper leaves with its target)", name), "speaker hold lists them"}
	case !holds[i].Alive:
		return fmt.Errorf("the keeper of %s was killed: calls that only boot needs fail with ENOSYS now, for good; boot the target again", name)
	}
	h, err := apply.Attach(name)
	if err != nil {
		return err
	}
	switch verb {
	case "status":
	case "deny":
		err = h.Deny()
	case "allow":
		err = h.Allow()
	case "end":
		if err = h.End(); err == nil {
			fmt.Fprintln(s.out, "ended")
			return nil
		}
	case "seal":
		return s.seal(ctx, name, h)
	default:
		return usageError{fmt.Errorf("hold cannot %q: status, deny, allow, seal or end", verb)}
	}
	if err != nil {
		return err
	}
	st, err := h.Status()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %s since %s, %d notified, %d denied\n", printable(st.Name), st.Mode, st.Since.Format(time.TimeOnly), st.Notified, st.Denied)
	for _, c := range st.ByCall {
		fmt.Fprintf(s.out, "  %-20s %-16s pid %d, %d times\n", c.Call, printable(c.Comm), c.Pid, c.Count)
	}
	return nil
}

// seal seals a hold by name, which is that of its target's cgroup.
func (s *settings) seal(ctx context.Context, name string, h *apply.Hold) error {
	own, err := target.Own(name)
	if err != nil {
		return err
	}
	if len(own) != 1 {
		return fmt.Errorf("the cgroup of %s is not to be found: is its target gone? then: speaker hold %s end", name, name)
	}
	t := own[0]
	_, proof, err := h.Seal(ctx, t.Pids)
	if err != nil {
		return err
	}
	for _, line := range proof.Text {
		fmt.Fprintln(s.out, printable(line))
	}
	return nil
}
