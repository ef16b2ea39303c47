// Command speaker is the terminal workbench with which an engineer tightens the
// seccomp profile of a real container by hand. This file and its neighbours
// hold flags and wiring only.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

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

// run is main without the exit: 0 done, 1 an error that was told, 2 bad usage.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cmd := commands(stdout, stderr)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	tell(stderr, err)
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}

// usageError is a command line that does not fit; its remedy is --help.
type usageError struct{ error }

// hinted is an error with a remedy, told on a line of its own.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// tell prints an error as one line, and its hint, if any, as another. Bytes
// that a terminal would act on are made harmless: names in errors may come
// from a container.
func tell(w io.Writer, err error) {
	fmt.Fprintln(w, "speaker: error:", printable(err.Error()))
	var h hinted
	if errors.As(err, &h) {
		fmt.Fprintln(w, "hint:", printable(h.hint))
	} else if errors.As(err, new(usageError)) {
		fmt.Fprintln(w, "hint: speaker --help")
	}
}

// printable replaces line breaks by spaces and other control characters by '?'.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < 0x20, r >= 0x7f && r < 0xa0, r == 0x2028, r == 0x2029, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
}
