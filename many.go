package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"speaker/policy/export"
	"speaker/session"
	"speaker/session/report"
)

func mergeCommand(s *settings) *cobra.Command {
	var out string
	c := &cobra.Command{Use: "merge FILE... -o OUT", Short: "make one session of many: runs, replicas, hosts (no root needed)",
		Long: `Makes one session of recordings of the same program: of several runs, of its
replicas, from several hosts. Each recording is cut at its own split; one that
has none is cut where a split is proposed, and that is said. What any of them
saw in a phase is in that phase of the result, with how many of them saw it.

The result is a session like any other: open, show and export take it, and it
can be merged again. A recording that comes more than once counts once. Edits
are taken over; where they differ, what was decided last holds.`,
		Args: someFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return usageError{errors.New("-o is needed: the file to make")}
			}
			return s.merge(out, args)
		}}
	c.Flags().StringVarP(&out, "out", "o", "", "session file to make")
	return c
}

func someFiles(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("session FILEs are needed")}
	}
	return nil
}

// merge makes one session file of many, and tells what went into it.
func (s *settings) merge(out string, paths []string) error {
	var in []session.Input
	for _, path := range paths {
		sess, _, err := session.Open(path)
		if err != nil {
			return err
		}
		in = append(in, session.Input{Name: filepath.Base(path), Session: sess})
	}
	m, notes, err := session.Merge("speaker "+version(), in...)
	if errors.Is(err, session.ErrNoSplit) {
		return hinted{err, "speaker open it and set one"}
	}
	if err != nil {
		return err
	}
	if err := session.Save(out, m); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "merged into %s\n", printable(out))
	for _, text := range notes {
		fmt.Fprintln(s.out, "note:", printable(text))
	}
	return showSession(s.out, m, false)
}

// showRuns prints what a merged session was made of, as a table.
func showRuns(w io.Writer, runs []session.Run) error {
	fmt.Fprintln(w, "merged    of these recordings")
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "\nRUN\tTARGET\tHOST\tSTARTED\tLENGTH\tSPLIT\tBY\tFILE")
	for i, r := range runs {
		m := r.Meta
		by := r.Split.By
		if r.Proposed {
			by = "nobody: proposed"
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i+1, printable(m.Target.Name), printable(m.Host),
			m.Start.Format(time.DateTime), r.Length.Round(time.Millisecond), r.Split.At.Round(time.Millisecond), printable(by), printable(r.Name))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func reportCommand(s *settings) *cobra.Command {
	var out, format string
	c := &cobra.Command{Use: "report FILE [-o OUT.html|OUT.md]", Short: "write a saved session as a page for a review or a ticket (no root needed)",
		Long: `Writes what a session holds as one page: its timeline and discovery curve, the
split with its evidence, the phases, what was removed and why it matters, what
keeps the recording from being complete, edits, and what was tried and applied.

HTML is one file that fetches nothing and runs no script. Without -o the page is
printed, as Markdown unless --format says otherwise.`,
		Args: oneArg("one session FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format == "" {
				if format = strings.TrimPrefix(filepath.Ext(out), "."); out == "" || out == "-" {
					format = "md"
				}
			}
			if !slices.Contains(report.Formats(), format) {
				return usageError{fmt.Errorf("no report in the format %q: -o takes a name that ends in .html or .md, --format html or md", format)}
			}
			sess, damage, err := session.Open(args[0])
			if err != nil {
				return err
			}
			note(cmd, damage.String())
			write := func(w io.Writer) error { return report.Write(w, format, sess) }
			if out == "" || out == "-" {
				return write(s.out)
			}
			return export.ToFile(out, write)
		}}
	c.Flags().StringVarP(&out, "out", "o", "", "file to make (default: standard output)")
	c.Flags().StringVar(&format, "format", "", "html or md (default: by the file's name)")
	return c
}
