package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/session"
)

// editing is one `speaker edit`.
type editing struct {
	*settings
	cmd *cobra.Command

	from, profile, phase string
	calls                []string
	undo                 int
	f                    profileFlags
}

func editCommand(s *settings) *cobra.Command {
	x := &editing{settings: s}
	c := &cobra.Command{Use: "edit FILE [EDIT...]", Short: "edit the policy of a saved session, or list its edits (no root needed)",
		Long: `Adds edits to a saved session, in their order: all of them, or none when one is
wrong. Without any it lists those that stand, in the form that --from reads.

An EDIT is one of these, in one argument each or on a line each of a file:

  allow CALL in PHASE          deny CALL in PHASE
  allow-family CALL in PHASE   deny-family CALL in PHASE
  include GROUP                leave-out GROUP
  condition CALL in PHASE: CONDITIONS
  no-condition CALL in PHASE
  answer-denied in PHASE: ANSWER   what all calls get that are not allowed
  answer-newer in PHASE: ANSWER    what those get that are newer than Linux 5.0
  answer CALL in PHASE: ANSWER     what one call gets where it is not allowed

PHASE is run (the narrow filter) or boot (the wide one, and so both), GROUP is stop,
exec or admin. ANSWER is an error like EPERM, "kill process", trap, log, or default.
CONDITIONS are what v shows on the screen, and names like AF_UNIX:

  speaker edit web.speaker 'condition socket in run: arg0 == AF_UNIX || arg0 == AF_INET'

Lines that begin with # are passed over. With --conditions-of the conditions that
a profile puts on calls are put on those that the session's filter allows.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			x.cmd = cmd
			return x.run(args[0], args[1:])
		}}
	f := c.Flags()
	f.StringVar(&x.from, "from", "", "read edits from this file, one a line (-: standard input)")
	f.StringVar(&x.profile, "conditions-of", "", "take the conditions on calls from the profile in this file")
	f.StringSliceVar(&x.calls, "call", nil, "take those on these calls alone")
	f.StringVar(&x.phase, "phase", "run", "put them on the filter of run, or of boot")
	f.IntVar(&x.undo, "undo", 0, "first undo this many of the last edits")
	x.f.add(f)
	return c
}

func (x *editing) run(path string, texts []string) error {
	if err := x.check(); err != nil {
		return err
	}
	edits, err := x.read(texts)
	if err != nil {
		return err
	}
	if len(edits) == 0 && x.profile == "" && x.undo == 0 {
		sess, _, err := session.Open(path)
		if err != nil {
			return err
		}
		for _, e := range sess.Edits() {
			fmt.Fprintln(x.out, printable(e.String()))
		}
		return nil
	}
	sess, writer, damage, err := session.OpenAppend(path)
	if err != nil {
		return err
	}
	note(x.cmd, damage.String())
	err = x.edit(sess, path, edits)
	return errors.Join(err, writer.Close())
}

func (x *editing) check() error {
	switch {
	case x.undo < 0:
		return usageError{fmt.Errorf("--undo %d: say how many", x.undo)}
	case filterNames[x.phase] == 0:
		return usageError{fmt.Errorf("--phase %q: say run or boot", x.phase)}
	case x.profile == "" && len(x.calls) > 0:
		return usageError{errors.New("--call is for --conditions-of")}
	}
	return x.f.check()
}

// read reads the edits that were given, in words and in a file.
func (x *editing) read(texts []string) ([]policy.Edit, error) {
	var out []policy.Edit
	for i, text := range texts {
		e, err := policy.ParseEdit(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("edit %d: %w", i+1, err)}
		}
		out = append(out, e)
	}
	if x.from == "" {
		return out, nil
	}
	in := x.cmd.InOrStdin()
	if x.from != "-" {
		f, err := os.Open(x.from)
		if err != nil {
			return nil, fmt.Errorf("read edits: %w", err)
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(io.LimitReader(in, export.MaxSize))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := policy.ParseEdit(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", x.from, n, err)
		}
		out = append(out, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read edits: %s: %w", x.from, err)
	}
	return out, nil
}

// edit changes the session, once nothing can go wrong any more.
func (x *editing) edit(sess *session.Session, path string, edits []policy.Edit) error {
	if have := len(sess.Edits()); x.undo > have {
		return fmt.Errorf("--undo %d: there are %d edits", x.undo, have)
	}
	if x.profile != "" {
		more, err := x.imported(sess, path)
		if err != nil {
			return err
		}
		edits = append(edits, more...)
	}
	for range x.undo {
		if !sess.UndoEdit() {
			return errors.New("no more can be undone")
		}
	}
	for _, e := range edits {
		e.At = time.Now()
		before := len(sess.Edits())
		if sess.AddEdit(e); len(sess.Edits()) == before {
			return errors.New("the session is full: it takes no more edits")
		}
		fmt.Fprintln(x.out, printable(e.String()))
	}
	p, _, has := cut(sess)
	fmt.Fprintf(x.out, "policy    %d calls over the whole life", p.Wide().Len())
	if has {
		fmt.Fprintf(x.out, ", %d while running", p.Narrow().Len())
	}
	fmt.Fprintln(x.out)
	return nil
}

// imported are the conditions of a profile as edits.
func (x *editing) imported(sess *session.Session, path string) ([]policy.Edit, error) {
	p, _, has := cut(sess)
	if ph := filterNames[x.phase]; ph == policy.Run && !has {
		return nil, hinted{errors.New("the session has no split, so no run filter"), "speaker open " + path + " and accept or set one"}
	}
	var calls []policy.Call
	for _, name := range x.calls {
		c, err := policy.ParseCall(name)
		if err != nil {
			return nil, usageError{fmt.Errorf("--call: %w", err)}
		}
		calls = append(calls, c)
	}
	_, rules, notes, err := x.f.read(x.profile)
	if err != nil {
		return nil, err
	}
	edits, more := export.Conditions(rules, p, filterNames[x.phase], calls, "of "+filepath.Base(x.profile))
	for _, text := range append(notes, more...) {
		note(x.cmd, text)
	}
	if len(edits) == 0 {
		return nil, fmt.Errorf("%s puts no conditions on calls that %s allows", x.profile, x.phase)
	}
	return edits, nil
}
