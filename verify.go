package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/session"
)

func verifyCommand(s *settings) *cobra.Command {
	var f profileFlags
	c := &cobra.Command{Use: "verify FILE", Short: "compile a session's policy, or any profile, and prove the filter (no root needed)",
		Long: `Compiles a saved session's policy, or a profile in any format that speaker reads,
to a filter, and runs that filter for every call number of every ABI, at all
arguments where an answer could change. It prints what was proved, or the cases
in which the filter answers otherwise.`,
		Args: oneArg("one FILE: a session or a profile"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			sess, _, err := session.Open(args[0])
			if err == nil && f.format == "" {
				for _, text := range sess.Completeness() { // what is proved is no wider than what was recorded
					note(cmd, text)
				}
				return s.verifySession(args[0], sess)
			}
			if err != nil && !errors.Is(err, session.ErrNotSession) {
				return err
			}
			return s.verifyProfile(cmd, &f, args[0])
		}}
	f.add(c.Flags())
	return c
}

// verifySession proves the filters of a session's policy.
func (s *settings) verifySession(path string, sess *session.Session) error {
	sp, err := splitOf(sess, path)
	if err != nil {
		return err
	}
	p := sess.Policy(sp)
	for _, f := range []struct {
		name string
		spec policy.Spec
	}{
		{"start: run allowed, boot asked for", p.StartSpec()},
		{"wide: over the whole life", p.WideSpec()},
		{"narrow: while running", p.NarrowSpec()},
	} {
		compiled, err := policy.Compile(f.spec)
		if err != nil {
			return err
		}
		v, err := policy.VerifySpec(compiled.Insns, f.spec)
		if err != nil {
			return err
		}
		under := ""
		if n := f.spec.Conditional().Len(); n > 0 {
			under = fmt.Sprintf(", %d under conditions", n)
		}
		fmt.Fprintf(s.out, "%s: %d calls allowed%s, %d asked for, %s\n", f.name, f.spec.Allow.Len(), under, f.spec.Notify.Minus(f.spec.Allow).Len(), sizeOf(compiled.Insns))
		if err := s.proved(v); err != nil {
			return err
		}
	}
	return nil
}

// verifyProfile proves the filter that a profile compiles to.
func (s *settings) verifyProfile(cmd *cobra.Command, f *profileFlags, path string) error {
	p, rules, notes, err := f.read(path)
	if err != nil {
		return err
	}
	if p.Format != "bpf" && p.Format != "pfc" { // which are loaded as they are
		notes = append(notes, p.EngineDiffers(f.host())...)
	}
	for _, text := range notes {
		note(cmd, text)
	}
	insns, err := policy.CompileRules(rules)
	if err != nil {
		return err
	}
	v, err := policy.Verify(insns, rules)
	if err != nil {
		return err
	}
	always, sometimes := rules.Allowed()
	fmt.Fprintf(s.out, "%s: a %s profile, default %s: %d calls allowed, %d more for some arguments, %s\n",
		printable(path), p.Format, rules.Outside().Default, always.Len(), sometimes.Len(), sizeOf(insns))
	return s.proved(v)
}

// sizeOf tells what a program takes: in all, and for one call at most.
func sizeOf(insns []unix.SockFilter) string {
	return fmt.Sprintf("%d instructions, at most %d for a call", len(insns), policy.LongestWay(insns))
}

// proved prints a proof, or what speaks against it.
func (s *settings) proved(v policy.Verified) error {
	if v.OK() {
		fmt.Fprintf(s.out, "  proved: all %d numbers of all ABIs are answered as it says, in %d cases of arguments\n", v.Calls, v.Cases)
		return nil
	}
	for _, m := range v.Differ {
		fmt.Fprintln(s.out, " ", m)
	}
	return fmt.Errorf("not proved: %d of %d cases are answered otherwise", len(v.Differ)+v.More, v.Cases)
}
