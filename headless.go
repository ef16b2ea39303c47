package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/sample"
	"speaker/session"
	"speaker/tui"
	"speaker/tui/bench"
)

func openCommand(s *settings) *cobra.Command {
	return &cobra.Command{Use: "open [FILE]", Short: "open a saved session in the workbench (no root needed); without FILE, one of the demo",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("one session FILE at a time")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := s.openSaved(args)
			if err != nil {
				return err
			}
			return s.workbench(cmd.Context(), s.options(), tui.Options{Work: w})
		}}
}

// openSaved opens the named session, or the embedded one of the demo.
func (s *settings) openSaved(args []string) (bench.Work, error) {
	if len(args) == 1 {
		return bench.OpenFile(args[0], s.readOnly)
	}
	dir, err := os.MkdirTemp("", "speaker-")
	if err != nil {
		return nil, fmt.Errorf("unpack the recorded demo: %w", err)
	}
	defer os.RemoveAll(dir) // the session is read whole
	path := filepath.Join(dir, "demo.speaker")
	if err := os.WriteFile(path, sample.Recorded, 0o400); err != nil {
		return nil, fmt.Errorf("unpack the recorded demo: %w", err)
	}
	return bench.OpenFile(path, true)
}

func showCommand(s *settings) *cobra.Command {
	var asJSON bool
	var split string
	c := &cobra.Command{Use: "show FILE", Short: "print what a saved session holds (no root needed)", Args: oneArg("one session FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sess, damage, err := session.Open(args[0])
			if err != nil {
				return err
			}
			if err := splitBy(sess, split); err != nil {
				return err
			}
			if asJSON {
				note(cmd, damage.String())
				return showJSON(s.out, sess)
			}
			return showSession(s.out, sess, true)
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&split, "split", "", splitFlag)
	return c
}

// splitFlag describes --split of a saved session.
const splitFlag = "cut it by this rule instead of its own split (see record --help); the file stays as it is"

func exportCommand(s *settings) *cobra.Command {
	var format, phase, out, split string
	var groups groupFlags
	var answers answerFlags
	c := &cobra.Command{Use: "export FILE", Short: "write a saved session's policy as a profile (no root needed)", Args: oneArg("one session FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(export.Formats(), format) {
				return usageError{fmt.Errorf("--format %q: there is %s", format, strings.Join(export.Formats(), ", "))}
			}
			ph, ok := filterNames[phase]
			if !ok {
				return usageError{fmt.Errorf("--phase %q: say boot (the whole life) or run (the narrow filter)", phase)}
			}
			sess, _, err := session.Open(args[0])
			if err != nil {
				return err
			}
			if err := splitBy(sess, split); err != nil {
				return err
			}
			sp, err := splitOf(sess, args[0])
			if err != nil {
				return err
			}
			if err := groups.apply(sess); err != nil {
				return err
			}
			if err := answers.apply(sess, ph); err != nil {
				return err
			}
			for _, text := range sess.Completeness() { // who only takes the profile must know
				note(cmd, text)
			}
			p := sess.Policy(sp)
			if !p.Saw(policy.Stop) {
				note(cmd, "no stop was recorded: what only a clean stop calls is missing; stop the program once while it is recorded")
			}
			opt := export.Options{Phase: ph, Runtime: true}
			write := func(w io.Writer) error {
				notes, err := export.Write(w, format, p, opt)
				for _, text := range notes {
					note(cmd, text)
				}
				return err
			}
			if out == "" || out == "-" {
				return write(s.out)
			}
			return export.ToFile(out, write)
		}}
	f := c.Flags()
	f.StringVar(&format, "format", "docker", "one of "+strings.Join(export.Formats(), ", "))
	f.StringVar(&phase, "phase", "boot", "boot: what the container needs over its whole life; run: the narrow filter")
	f.StringVarP(&out, "out", "o", "", "file to make (default: standard output)")
	f.StringVar(&split, "split", "", splitFlag)
	groups.add(f)
	answers.add(f)
	return c
}

// splitOf is where the session of a file is split, for a policy.
func splitOf(sess *session.Session, path string) (session.Split, error) {
	const none = "the session has no split, so no policy"
	sp, ok := sess.Split()
	switch {
	case ok:
		return sp, nil
	case sp.Waits:
		return sp, fmt.Errorf("%s: %s", none, sp.How)
	}
	return sp, hinted{errors.New(none), "speaker open " + path + " and accept or set one"}
}

// note tells something that is not an error.
func note(cmd *cobra.Command, text string) {
	if text != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", printable(text))
	}
}
