package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"speaker/policy"
	"speaker/session"
	"speaker/trace/proc"
	"speaker/trace/target"
	"speaker/tui/bench"
)

// recording is one `speaker record`.
type recording struct {
	*settings
	cmd *cobra.Command

	file   string        // "": named for the target
	output string        // "": standard error
	next   string        // a pattern, if it is waited for
	split  string        // a rule; "": the proposal
	length time.Duration // 0: the target ends it
	boot   bool
	follow bool // lives after the first are recorded, too
}

func recordCommand(s *settings) *cobra.Command {
	r := &recording{settings: s}
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
			r.cmd = cmd
			if err := r.check(); err != nil {
				return err
			}
			if cmd.Flags().Changed("next") {
				return r.wait(args)
			}
			return r.run(args)
		}}
	f := c.Flags()
	f.StringVarP(&r.file, "out", "o", "", "session file to make (default: a name in the session folder)")
	f.DurationVar(&r.length, "for", 0, "stop after this long (0: until the target ends or ctrl-c)")
	f.BoolVar(&r.boot, "boot", false, "boot the container again, with the tracer armed before its first call")
	f.BoolVar(&r.follow, "follow", false, "go on with the container's next life, and the one after it, each in a recording of its own")
	f.StringVar(&r.next, "next", "", "wait for the next container whose name is as this pattern says, and record it from its first call")
	f.StringVar(&r.output, "output", "", "append the command's output to this file (default: standard error)")
	f.StringVar(&r.split, "split", "", "where boot ends, by rule: see below (default: as proposed at the end)")
	s.readyFlag(c)
	return c
}

// check looks at what the flags say by themselves.
func (r *recording) check() error {
	if r.length < 0 {
		return usageError{fmt.Errorf("--for %s: a time is not negative", r.length)}
	}
	if r.noFile && r.file != "" {
		return usageError{errors.New("--no-file and --out cannot both be: leave one out")}
	}
	_, err := splitRule(r.split)
	return err
}

// bench makes the workbench that records; command is what it may start.
func (r *recording) bench(command []string, output *os.File) *bench.Bench {
	o := r.options()
	o.SessionFile, o.Follow, o.Command, o.Output = r.file, r.follow, command, output
	return bench.New(o)
}

// wait records the next container that is started.
func (r *recording) wait(args []string) error {
	if len(args) > 0 || r.boot {
		return usageError{errors.New("--next names what is waited for: no TARGET, no COMMAND and no --boot with it")}
	}
	if err := target.CheckPattern(r.next); err != nil {
		return usageError{err}
	}
	b := r.bench(nil, nil)
	return r.record(b, func(ctx context.Context) (bench.Work, error) {
		return b.Next(ctx, r.next, func(text string) { note(r.cmd, text) })
	})
}

// run records a target, or a command after --.
func (r *recording) run(args []string) error {
	ref, command, output := "run", args, os.Stderr
	switch {
	case r.cmd.ArgsLenAtDash() != 0 || len(args) == 0:
		if len(args) != 1 {
			return usageError{errors.New("one TARGET is needed, or a command after --")}
		}
		ref, command = args[0], nil
	case r.output != "":
		f, err := outputFile(r.output)
		if err != nil {
			return err
		}
		defer f.Close()
		output = f
	}
	b := r.bench(command, output)
	return r.record(b, func(ctx context.Context) (bench.Work, error) {
		if r.follow {
			if err := b.CheckFollow(ctx, ref); err != nil {
				return nil, err
			}
		}
		return b.Watch(ctx, ref, r.boot)
	})
}

// record watches what begin begins until the command's context, the time or the
// target ends.
func (r *recording) record(b *bench.Bench, begin func(context.Context) (bench.Work, error)) error {
	ctx := r.cmd.Context()
	w, err := begin(ctx)
	if err != nil {
		return err
	}
	if r.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.length)
		defer cancel()
	}
	if r.split != "" { // the lives that follow take it over
		if err := w.Pin(r.split); err != nil {
			note(r.cmd, err.Error())
		}
	}
	r.life(ctx, w)
	for r.follow {
		n, err := nextLife(ctx, w)
		if err != nil {
			return errors.Join(err, w.Close())
		}
		if n == nil {
			break
		}
		showSession(r.out, w.Session(), false)
		w = n
		r.life(ctx, w)
	}
	err = w.Close()
	for _, line := range b.Farewell() {
		fmt.Fprintln(r.out, printable(line))
	}
	showSession(r.out, w.Session(), false)
	return err
}

// life waits for the end of one recording, and splits it.
func (r *recording) life(ctx context.Context, w bench.Work) {
	say := func(what ...any) { fmt.Fprintln(r.out, what...) }
	where := "in memory only"
	if path := w.State().Recording; path != "" {
		where = "to " + path
	}
	say("recording", printable(where))
	if err := proc.Supported(); err != nil {
		say("note:", err)
	}
	settle := w.Accept
	if r.split != "" {
		settle = func() error { return waiting(w.Session()) }
	}
	waitEnd(ctx, w, teller(r.cmd, w.Session()))
	if err := w.Ready(nil); err != nil { // what was not answered by now is not waited for
		say("note:", printable(err.Error()))
	}
	if err := settle(); err != nil {
		say("note:", printable(err.Error()))
	}
}

// nextLife waits, if lives are followed, for the container to be started again, and
// goes over to that life. It returns nil when ctx ends.
func nextLife(ctx context.Context, w bench.Work) (bench.Work, error) {
	if !waitFor(ctx, func() bool { st := w.State(); return st.Recorded || st.Again != 0 }) {
		return nil, nil
	}
	return w.WatchAgain(ctx)
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
	waitFor(ctx, func() bool {
		st := w.State()
		look(st)
		return st.Ended
	})
}

// waitFor asks five times a second until the answer is yes; false means that ctx
// ended before.
func waitFor(ctx context.Context, yes func() bool) bool {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			if yes() {
				return true
			}
		}
	}
}
