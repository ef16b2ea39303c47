package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"speaker/session"
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
