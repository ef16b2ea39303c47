package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"speaker/apply"
	"speaker/policy"
	"speaker/tui/bench"
)

func inspectCommand(s *settings) *cobra.Command {
	var f profileFlags
	var against string
	c := &cobra.Command{Use: "inspect TARGET", Short: "print what the filters of a running target answer",
		Long: `Reads the seccomp filters of every thread of a target out of the kernel, each
stopped for a moment, and prints what they answer to every call, and on which
arguments that depends. Nothing is changed.

With --against it says where that differs from a profile in any format that
speaker reads; the exit status is 1 if it does.`,
		Args: oneArg("one TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			var want *policy.Rules
			if against != "" {
				_, rules, notes, err := f.read(against)
				if err != nil {
					return err
				}
				for _, text := range notes {
					note(cmd, text)
				}
				want = &rules
			}
			t, stacks, unseen, err := bench.New(s.options()).Inspect(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			for _, u := range unseen {
				note(cmd, "could not look: "+u.Error())
			}
			if len(stacks) == 0 {
				return fmt.Errorf("%s has no thread that could be looked at", t.Ref())
			}
			return s.inspect(stacks, want)
		}}
	f.add(c.Flags())
	c.Flags().StringVar(&against, "against", "", "say where the filters differ from the profile in this file")
	return c
}

// inspect prints each stack of filters, and where it differs from what is wanted.
func (s *settings) inspect(stacks []apply.Stack, want *policy.Rules) error {
	slices.SortFunc(stacks, func(a, b apply.Stack) int {
		return cmp.Or(-cmp.Compare(a.Threads, b.Threads), cmp.Compare(a.Pid, b.Pid))
	})
	differ := false
	for _, st := range stacks {
		insns := 0
		for _, f := range st.Filters {
			insns += len(f)
		}
		fmt.Fprintf(s.out, "%s of %s (%s, pid %d): %s, %d instructions\n", counted(st.Threads, "thread"), counted(st.Processes, "process"),
			printable(st.Comm), st.Pid, counted(len(st.Filters), "filter"), insns)
		if len(st.Filters) == 0 {
			fmt.Fprintln(s.out, "  every call is allowed")
		}
		if want == nil {
			if err := s.answers(st.Filters); err != nil {
				return err
			}
			continue
		}
		v, err := policy.VerifyAll(st.Filters, *want)
		if err != nil {
			return err
		}
		differ = differ || !v.OK()
		s.compared(v)
	}
	if differ {
		return errors.New("the filters are not what the profile says")
	}
	return nil
}

// answers prints what a stack of filters answers, by ABI and answer.
func (s *settings) answers(chain [][]unix.SockFilter) error {
	if len(chain) == 0 {
		return nil
	}
	for _, abi := range []policy.ABI{policy.X86_64, policy.I386, policy.X32, policy.ARM64} {
		if !abi.On(policy.Native()) {
			continue
		}
		by := map[policy.Action][]string{}
		var conditional []string
		for _, c := range policy.Calls(abi) {
			r, err := policy.Recover(chain, c)
			if err != nil {
				return err
			}
			if r.Unclear || len(r.Rules) > 0 {
				conditional = append(conditional, fmt.Sprintf("%s: %s", c.Name(), r))
				continue
			}
			by[r.Otherwise] = append(by[r.Otherwise], c.Name())
		}
		beyond, err := policy.Recover(chain, policy.Call{ABI: abi, Nr: 4095})
		if err != nil {
			return err
		}
		s.abiAnswers(abi, by, conditional, beyond)
	}
	return nil
}

func (s *settings) abiAnswers(abi policy.ABI, by map[policy.Action][]string, conditional []string, beyond policy.Recovered) {
	if len(by) == 1 && len(conditional) == 0 {
		for a := range by {
			fmt.Fprintf(s.out, "  %s: %s, whatever the call\n", abi, a)
		}
		return
	}
	fmt.Fprintf(s.out, "  %s, calls without a name: %s\n", abi, beyond)
	actions := slices.SortedFunc(maps.Keys(by), func(a, b policy.Action) int {
		return cmp.Or(-cmp.Compare(a.Kind(), b.Kind()), cmp.Compare(a, b))
	})
	for _, a := range actions {
		slices.Sort(by[a])
		fmt.Fprintf(s.out, "    %s, %s:\n", a, counted(len(by[a]), "call"))
		for _, line := range lines(by[a], 72) {
			fmt.Fprintln(s.out, "      "+line)
		}
	}
	if len(conditional) > 0 {
		slices.Sort(conditional)
		fmt.Fprintln(s.out, "    by arguments:")
		for _, line := range conditional {
			fmt.Fprintln(s.out, "      "+line)
		}
	}
}

// lines joins words to lines of at most width columns.
func lines(words []string, width int) (out []string) {
	line := ""
	for _, w := range words {
		if line != "" && len(line)+1+len(w) > width {
			out, line = append(out, line), ""
		}
		line = strings.TrimPrefix(line+" "+w, " ")
	}
	return append(out, line)
}

// compared prints where filters differ from a profile.
func (s *settings) compared(v policy.Verified) {
	if v.OK() {
		fmt.Fprintf(s.out, "  as the profile says: %d numbers of all ABIs, %d cases of arguments\n", v.Calls, v.Cases)
		return
	}
	fmt.Fprintf(s.out, "  differs from the profile in %d of %d cases:\n", len(v.Differ)+v.More, v.Cases)
	for _, m := range v.Differ {
		args := ""
		if m.Args != (policy.Args{}) {
			args = fmt.Sprintf(" with %#x", m.Args)
		}
		fmt.Fprintf(s.out, "    %s%s: has %s, profile says %s\n", m.Call, args, m.Got, m.Want)
	}
	if v.More > 0 {
		fmt.Fprintf(s.out, "    and %d more\n", v.More)
	}
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
