package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/sample"
	"speaker/session"
	"speaker/trace/proc"
	"speaker/trace/target"
	"speaker/tui"
	"speaker/tui/bench"
)

// ruleHelp explains the rules of --split.
var ruleHelp = `A rule for --split is a time (2.5s), or an event of the recording, with a delay if
you like. Words behind the event pick one by its text or process:

  "ready 80"                  a readiness probe of port 80 was answered
  "2s after listen-wait"      two seconds after a thread waited on its socket
  "2nd exec nginx"            the second exec of nginx
  "call accept4"              the first use of a call

The events are ` + strings.Join(session.RuleEvents(), ", ") + `.`

func recordCommand(s *settings) *cobra.Command {
	var out, output, next, split string
	var length time.Duration
	var boot, follow bool
	c := &cobra.Command{Use: "record {TARGET | --next PATTERN | -- COMMAND [ARG...]}", Short: "record a session without a screen",
		Long: `Records until the time is up, the target ends, or ctrl-c; prints what it saw.

With --next it waits for the first container to be started, by whatever engine,
whose name or id is as the pattern says (web-*, POD/*), and records it from its
very first call. The time then runs from that start.

With --follow it goes on when somebody starts the container again: each life is
recorded from its first call, into a file of its own, until the time is up or
ctrl-c.

` + ruleHelp,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if length < 0 {
				return usageError{fmt.Errorf("--for %s: a time is not negative", length)}
			}
			if s.noFile && out != "" {
				return usageError{errors.New("--no-file and --out cannot both be: leave one out")}
			}
			if _, err := splitRule(split); err != nil {
				return err
			}
			o := s.options()
			o.SessionFile, o.Follow = out, follow
			if cmd.Flags().Changed("next") {
				if len(args) > 0 || boot {
					return usageError{errors.New("--next names what is waited for: no TARGET, no COMMAND and no --boot with it")}
				}
				if err := target.CheckPattern(next); err != nil {
					return usageError{err}
				}
				b := bench.New(o)
				say := func(text string) { note(cmd, text) }
				return s.record(cmd, b, terms{length, follow, split}, func(ctx context.Context) (bench.Work, error) { return b.Next(ctx, next, say) })
			}
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
			b := bench.New(o)
			return s.record(cmd, b, terms{length, follow, split}, func(ctx context.Context) (bench.Work, error) {
				if follow {
					if err := b.CheckFollow(ctx, ref); err != nil {
						return nil, err
					}
				}
				return b.Watch(ctx, ref, boot)
			})
		}}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "", "session file to make (default: a name in the session folder)")
	f.DurationVar(&length, "for", 0, "stop after this long (0: until the target ends or ctrl-c)")
	f.BoolVar(&boot, "boot", false, "boot the container again, with the tracer armed before its first call")
	f.BoolVar(&follow, "follow", false, "go on with the container's next life, and the one after it, each in a recording of its own")
	f.StringVar(&next, "next", "", "wait for the next container whose name is as this pattern says, and record it from its first call")
	f.StringVar(&output, "output", "", "append the command's output to this file (default: standard error)")
	f.StringVar(&split, "split", "", "where boot ends, by rule: see below (default: as proposed at the end)")
	s.readyFlag(c)
	return c
}

// splitRule reads the rule of --split; nil for none.
func splitRule(text string) (*session.Rule, error) {
	if text == "" {
		return nil, nil
	}
	r, err := session.ParseRule(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("--split: %w", err)}
	}
	return &r, nil
}

// splitBy puts the split of a saved session where a rule says, for as long as it
// is open; "" leaves it.
func splitBy(s *session.Session, text string) error {
	r, err := splitRule(text)
	if r == nil {
		return err
	}
	if sp, ok := s.Place(*r); !ok {
		return fmt.Errorf("--split: %s", sp.How)
	}
	s.Pin(*r, "user")
	return nil
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

// record watches what begin begins until the command's context, the time or the
// terms are what ends a recording, and what splits it.
type terms struct {
	length time.Duration // 0: the target ends it
	follow bool          // lives after the first are recorded, too
	split  string        // a rule; "": the proposal
}

// record watches what begin begins until the command's context, the time or the
// target ends.
func (s *settings) record(cmd *cobra.Command, b *bench.Bench, x terms, begin func(context.Context) (bench.Work, error)) error {
	ctx := cmd.Context()
	w, err := begin(ctx)
	if err != nil {
		return err
	}
	if x.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.length)
		defer cancel()
	}
	s.recordLife(ctx, cmd, w, x.split)
	for x.follow {
		n, err := nextLife(ctx, w)
		if err != nil {
			return errors.Join(err, w.Close())
		}
		if n == nil {
			break
		}
		showSession(s.out, w.Session(), false)
		w = n
		s.recordLife(ctx, cmd, w, x.split)
	}
	err = w.Close()
	for _, line := range b.Farewell() {
		fmt.Fprintln(s.out, printable(line))
	}
	showSession(s.out, w.Session(), false)
	return err
}

// recordLife waits for the end of one recording, and splits it.
func (s *settings) recordLife(ctx context.Context, cmd *cobra.Command, w bench.Work, split string) {
	where := "in memory only"
	if path := w.State().Recording; path != "" {
		where = "to " + path
	}
	fmt.Fprintln(s.out, "recording", printable(where))
	if err := proc.Supported(); err != nil {
		fmt.Fprintln(s.out, "note:", err)
	}
	settle := w.Accept
	if split != "" {
		settle = func() error { return waiting(w.Session()) }
		if err := w.Pin(split); err != nil {
			note(cmd, err.Error())
		}
	}
	waitEnd(ctx, w, teller(cmd, w.Session()))
	if err := w.Ready(nil); err != nil { // what was not answered by now is not waited for
		fmt.Fprintln(s.out, "note:", printable(err.Error()))
	}
	if err := settle(); err != nil {
		fmt.Fprintln(s.out, "note:", printable(err.Error()))
	}
}

// nextLife waits, if lives are followed, for the container to be started again, and
// goes over to that life. It returns nil when ctx ends.
func nextLife(ctx context.Context, w bench.Work) (bench.Work, error) {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-t.C:
			if st := w.State(); st.Recorded || st.Again != 0 {
				return w.WatchAgain(ctx)
			}
		}
	}
}

// waiting is what a pinned split still waits for.
func waiting(s *session.Session) error {
	if sp, ok := s.Split(); !ok {
		return errors.New("no split: " + sp.How)
	}
	return nil
}

// teller tells, while a recording goes on, when writing its file begins to fail,
// and of calls that come late in run.
func teller(cmd *cobra.Command, sess *session.Session) func(bench.State) {
	failed, told := "", map[policy.Call]bool{}
	return func(st bench.State) {
		if st.RecordErr != failed {
			if failed = st.RecordErr; failed != "" {
				note(cmd, failed+": the recording goes on in memory, and is written when the disk takes it again")
			}
		}
		sp, ok := sess.Split()
		if !ok {
			return
		}
		for _, x := range sess.Late(sp) {
			if !told[x.Call] {
				told[x.Call] = true
				note(cmd, "new in run: "+x.String())
			}
		}
	}
}

// waitEnd returns when ctx or the target ends, and calls look now and then.
func waitEnd(ctx context.Context, w bench.Work, look func(bench.State)) {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			st := w.State()
			if look(st); st.Ended {
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
	c := &cobra.Command{Use: "export FILE", Short: "write a saved session's policy as a profile (no root needed)", Args: oneArg("one session FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(export.Formats(), format) {
				return usageError{fmt.Errorf("--format %q: there is %s", format, strings.Join(export.Formats(), ", "))}
			}
			ph, ok := map[string]policy.Phase{"boot": policy.Boot, "run": policy.Run}[phase]
			if !ok {
				return usageError{fmt.Errorf("--phase %q: say boot (the whole life) or run (the narrow filter)", phase)}
			}
			sess, _, err := session.Open(args[0])
			if err != nil {
				return err
			}
			for _, text := range sess.Completeness() { // who only takes the profile must know
				note(cmd, text)
			}
			if err := splitBy(sess, split); err != nil {
				return err
			}
			sp, ok := sess.Split()
			if !ok && sp.Waits {
				return fmt.Errorf("the session has no split, so no policy: %s", sp.How)
			}
			if !ok {
				return hinted{errors.New("the session has no split, so no policy"), "speaker open " + args[0] + " and accept or set one"}
			}
			if err := groups.apply(sess); err != nil {
				return err
			}
			p := sess.Policy(sp)
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
	return c
}

// note tells something that is not an error.
func note(cmd *cobra.Command, text string) {
	if text != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", printable(text))
	}
}
