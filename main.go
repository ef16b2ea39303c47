// Command speaker is the terminal workbench with which an engineer tightens the
// seccomp profile of a real container by hand. This file and its neighbours
// hold flags and wiring only.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"speaker/apply"
	"speaker/sample"
)

// parts are the programs inside this binary that speaker starts by itself.
var parts = map[string]func([]string) int{
	"_inject":     apply.InjectMain,
	"_keeper":     apply.KeeperMain,
	"_launch":     apply.LaunchMain,
	"_demo-init":  sample.InitMain,
	"_demo-serve": sample.ServeMain,
	"_demo-help":  sample.HelpMain,
}

func main() {
	if len(os.Args) > 1 {
		if part, ok := parts[os.Args[1]]; ok {
			os.Exit(part(os.Args[2:]))
		}
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the exit: 0 done, 1 an error that was told, 2 bad usage;
// diff has 1 for differences and 2 for errors.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, func() { time.AfterFunc(impatient, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) }) })
	out := &checked{to: stdout}
	cmd := commands(out, stderr)
	cmd.SetArgs(args)
	used, err := cmd.ExecuteContextC(ctx)
	if err == nil {
		err = out.err
	}
	if err == nil {
		return 0
	}
	if st := exitStatus(0); errors.As(err, &st) {
		return int(st)
	}
	if out := used.Flags().Lookup("out"); out != nil && out.Changed && errors.Is(err, fs.ErrExist) {
		err = hinted{err, "nothing is overwritten: give -o another name, or remove that file"}
	}
	tell(stderr, err, used.CommandPath()+" --help")
	if errors.As(err, new(usageError)) || errors.As(err, new(trouble)) {
		return 2
	}
	return 1
}

// impatient is how long after the first signal another one kills: what hangs
// must not need kill -9, and timeout(1), which signals a process and its group,
// must not kill what is about to end well. A lost terminal's SIGHUP, which comes
// from the kernel and the shell, never does.
const impatient = time.Second

// checked is standard output. It keeps the error of a write that nobody looked at:
// a full disk must not end in success.
type checked struct {
	to  io.Writer
	err error
}

func (o *checked) Write(b []byte) (int, error) {
	n, err := o.to.Write(b)
	if err != nil {
		var p *fs.PathError // names a file that nobody asked for
		if errors.As(err, &p) {
			err = p.Err
		}
		err = fmt.Errorf("write standard output: %w", err)
		if o.err == nil {
			o.err = err
		}
	}
	return n, err
}

// usageError is a command line that does not fit; its remedy is --help.
type usageError struct{ error }

// hinted is an error with a remedy, told on a line of its own.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// tell prints an error as one line, and its hint, if any, as another; help is what
// prints the help of the command that was used. Bytes that a terminal would act on
// are made harmless: names in errors may come from a container.
func tell(w io.Writer, err error, help string) {
	fmt.Fprintln(w, "speaker: error:", printable(err.Error()))
	var h hinted
	switch {
	case errors.As(err, &h):
		fmt.Fprintln(w, "hint:", printable(h.hint))
	case errors.As(err, new(usageError)):
		fmt.Fprintln(w, "hint:", help)
	}
}

// printable replaces line breaks by spaces and what else acts on a terminal by
// '?'.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case acts(r):
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
}

// acts reports whether a terminal may act on r: control characters, those that
// turn the direction of writing and their like, and unusual line breaks.
func acts(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }
