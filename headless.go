package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/sample"
	"speaker/session"
	"speaker/trace/proc"
	"speaker/tui"
	"speaker/tui/bench"
)

func recordCommand(s *settings) *cobra.Command {
	var out, output string
	var length time.Duration
	var boot bool
	c := &cobra.Command{Use: "record {TARGET | -- COMMAND [ARG...]}", Short: "record a session without a screen",
		Long: "Records until the time is up, the target ends, or ctrl-c; prints what it saw.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if length < 0 {
				return usageError{fmt.Errorf("--for %s: a time is not negative", length)}
			}
			o := s.options()
			o.SessionFile = out
			ref, err := recordTarget(cmd, args, &o)
			if err != nil {
				return err
			}
			if ref == "run" {
				o.Output = os.Stderr
				if output != "" {
					f, err := outputFile(output)
					if err != nil {
						return err
					}
					defer f.Close()
					o.Output = f
				}
			}
			return s.record(cmd.Context(), o, ref, boot, length)
		}}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "", "session file to make (default: a name in the session folder)")
	f.DurationVar(&length, "for", 0, "stop after this long (0: until the target ends or ctrl-c)")
	f.BoolVar(&boot, "boot", false, "boot the container again, with the tracer armed before its first call")
	f.StringVar(&output, "output", "", "append the command's output to this file (default: standard error)")
	return c
}

// recordTarget tells a target from a command after --.
func recordTarget(cmd *cobra.Command, args []string, o *bench.Options) (string, error) {
	if cmd.ArgsLenAtDash() == 0 && len(args) > 0 {
		o.Command = args
		return "run", nil
	}
	if len(args) != 1 {
		return "", usageError{errors.New("one TARGET is needed, or a command after --")}
	}
	return args[0], nil
}

// record watches ref until ctx, the time or the target ends.
func (s *settings) record(ctx context.Context, o bench.Options, ref string, boot bool, length time.Duration) error {
	b := bench.New(o)
	w, err := b.Watch(ctx, ref, boot)
	if err != nil {
		return err
	}
	if length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	where := "in memory only"
	if path := w.State().Recording; path != "" {
		where = "to " + path
	}
	fmt.Fprintln(s.out, "recording", printable(where))
	if err := proc.Supported(); err != nil {
		fmt.Fprintln(s.out, "note:", err)
	}
	waitEnd(ctx, w)
	if err := w.Accept(); err != nil {
		fmt.Fprintln(s.out, "note:", printable(err.Error()))
	}
	st := w.State()
	err = w.Close()
	if st.RecordErr != "" {
		err = errors.Join(err, fmt.Errorf("write %s: %s", st.Recording, st.RecordErr))
	}
	for _, line := range b.Farewell() {
		fmt.Fprintln(s.out, printable(line))
	}
	showSession(s.out, w.Session(), false)
	return err
}

// waitEnd returns when ctx or the target ends.
func waitEnd(ctx context.Context, w bench.Work) {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if w.State().Ended {
				return
			}
		}
	}
}

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
	c := &cobra.Command{Use: "show FILE", Short: "print what a saved session holds (no root needed)", Args: oneArg("one session FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sess, damage, err := session.Open(args[0])
			if err != nil {
				return err
			}
			note(cmd, damage.String())
			if asJSON {
				return showJSON(s.out, sess)
			}
			return showSession(s.out, sess, true)
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func exportCommand(s *settings) *cobra.Command {
	var format, phase, out string
	c := &cobra.Command{Use: "export FILE", Short: "write a saved session's policy as a profile (no root needed)", Args: oneArg("one session FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(export.Formats(), format) {
				return usageError{fmt.Errorf("--format %q: there is %s", format, strings.Join(export.Formats(), ", "))}
			}
			ph, ok := map[string]policy.Phase{"boot": policy.Boot, "run": policy.Run}[phase]
			if !ok {
				return usageError{fmt.Errorf("--phase %q: say boot (the whole life) or run (the narrow filter)", phase)}
			}
			sess, damage, err := session.Open(args[0])
			if err != nil {
				return err
			}
			note(cmd, damage.String())
			sp, ok := sess.Split()
			if !ok {
				return hinted{errors.New("the session has no split, so no policy"), "speaker open " + args[0] + " and accept or set one"}
			}
			p := sess.Policy(sp)
			opt := export.Options{Phase: ph, Runtime: true}
			if out == "" || out == "-" {
				return export.Write(s.out, format, p, opt)
			}
			return export.ToFile(out, func(w io.Writer) error { return export.Write(w, format, p, opt) })
		}}
	f := c.Flags()
	f.StringVar(&format, "format", "docker", "one of "+strings.Join(export.Formats(), ", "))
	f.StringVar(&phase, "phase", "boot", "boot: what the container needs over its whole life; run: the narrow filter")
	f.StringVarP(&out, "out", "o", "", "file to make (default: standard output)")
	return c
}

// showSession prints a session for people.
func showSession(w io.Writer, s *session.Session, calls bool) error {
	m := s.Meta()
	fmt.Fprintf(w, "target    %s %s  %s\n", printable(m.Target.Engine), printable(m.Target.Name), printable(m.Target.Image))
	fmt.Fprintf(w, "recorded  %s, %s long, on Linux %s\n", m.Start.Format(time.DateTime), s.Length().Round(time.Millisecond), printable(m.Kernel))
	for _, c := range s.Completeness() {
		fmt.Fprintf(w, "note      %s\n", printable(c))
	}
	sp, ok := s.Split()
	if !ok {
		fmt.Fprintln(w, "split     none")
	} else {
		fmt.Fprintf(w, "split     at %s, %s (%s)\n", sp.At.Round(time.Millisecond), printable(sp.How), printable(sp.By))
		for _, e := range sp.Evidence {
			fmt.Fprintf(w, "          %s\n", printable(e.Text))
		}
	}
	p := s.Policy(sp)
	fmt.Fprintf(w, "policy    %d calls over the whole life, %d while running\n", p.Wide().Len(), p.Narrow().Len())
	for _, t := range s.Trials() {
		fmt.Fprintf(w, "tried     %s at %s: %s\n", t.Kind, t.At.Round(time.Millisecond), printable(t.Text))
	}
	if !calls {
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "\nCALL\tBOOT\tRUN\tCOUNT\tFIRST\tLAST\tWHY")
	for _, e := range p.Entries() {
		u := total(e)
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", e.Call, yes(e.Boot), yes(e.Run), u.Count, u.First.Round(time.Millisecond), u.Last.Round(time.Millisecond), why(e))
	}
	return tw.Flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "-"
}

// why names the origins of an entry.
func why(e policy.Entry) string {
	var out string
	for i, r := range e.Why {
		if i > 0 {
			out += ", "
		}
		out += string(r.Origin)
		if r.Origin != policy.OriginEssential {
			out += " " + r.Phase.String()
		}
	}
	return out
}

// total adds up an entry's uses over the phases.
func total(e policy.Entry) policy.Use {
	t := policy.Use{Call: e.Call}
	first := true
	for _, u := range e.Uses {
		if u.Count == 0 {
			continue
		}
		if first || u.First < t.First {
			t.First = u.First
		}
		if u.Last > t.Last {
			t.Last = u.Last
		}
		t.Count += u.Count
		first = false
	}
	return t
}

// showJSON prints a session for programs.
func showJSON(w io.Writer, s *session.Session) error {
	type call struct {
		Call      string  `json:"call"`
		Boot      bool    `json:"boot"`
		Run       bool    `json:"run"`
		Count     uint64  `json:"count"`
		FirstSecs float64 `json:"first_seconds"`
		LastSecs  float64 `json:"last_seconds"`
		Why       string  `json:"why"`
	}
	sp, has := s.Split()
	p := s.Policy(sp)
	out := struct {
		Meta         session.Meta    `json:"meta"`
		LengthSecs   float64         `json:"length_seconds"`
		Completeness []string        `json:"completeness"`
		HasSplit     bool            `json:"has_split"`
		Split        session.Split   `json:"split"`
		Marks        []session.Mark  `json:"marks"`
		Trials       []session.Trial `json:"trials"`
		Calls        []call          `json:"calls"`
	}{s.Meta(), s.Length().Seconds(), s.Completeness(), has, sp, s.Marks(), s.Trials(), nil}
	for _, e := range p.Entries() {
		u := total(e)
		out.Calls = append(out.Calls, call{e.Call.String(), e.Boot, e.Run, u.Count, u.First.Seconds(), u.Last.Seconds(), why(e)})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

// note tells something that is not an error.
func note(cmd *cobra.Command, text string) {
	if text != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", printable(text))
	}
}
