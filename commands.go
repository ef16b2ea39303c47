package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"speaker/sample"
	"speaker/trace"
	"speaker/trace/ready"
	"speaker/tui"
	"speaker/tui/bench"
)

// settings are the flags that several commands share.
type settings struct {
	docker     string
	sessionDir string
	noFile     bool
	sampleRate int
	byProcess  bool
	color      string
	ascii      bool
	readOnly   bool
	ready      []string
	out        io.Writer
}

func (s *settings) options() bench.Options {
	return bench.Options{SessionDir: s.sessionDir, NoFile: s.noFile, DockerHost: s.docker,
		SampleRate: s.sampleRate, ByProcess: s.byProcess, ReadOnly: s.readOnly, Ready: s.ready, Tool: "speaker " + version()}
}

// version is the module's version, as far as the build knows it.
func version() string {
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" {
		return strings.Trim(bi.Main.Version, "()")
	}
	return "devel"
}

const longHelp = `speaker tightens the seccomp profile of a real container by hand: it shows the
container's system calls live, splits its life into booting and running, lets
you edit what each may call, tests that on the spot, and applies a filter that
is wide while it boots and narrow while it runs.

Without a command it lists the targets to pick from.

A TARGET is  demo                    the built-in demo container
             NAME or ID              a container, of whatever engine that has it
             docker:NAME podman:NAME containerd:NAMESPACE/ID cri:POD/CONTAINER
             unit:NAME.service       a service or scope of systemd
             123, pid:123            a process and all its descendants
             /sys/fs/cgroup/…        a cgroup (also cgroup:/path)

Engines are asked at their usual sockets, or where DOCKER_HOST, CONTAINER_HOST
(Podman), CONTAINERD_ADDRESS and CONTAINER_RUNTIME_ENDPOINT (CRI) say. Containers
that run are found without any socket, too.

Watching and applying need root (or CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and
CAP_DAC_READ_SEARCH to watch, CAP_SYS_ADMIN besides to apply) and Linux 5.11 or
newer. What is done with saved sessions needs neither.`

// commands builds the command tree.
func commands(stdout, stderr io.Writer) *cobra.Command {
	s := &settings{out: stdout}
	root := &cobra.Command{
		Use: "speaker", Short: "tighten a container's seccomp profile by hand, live",
		Long: longHelp, Version: version(),
		Args:          noArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.workbench(cmd.Context(), s.options(), tui.Options{})
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{flagError(err)} })
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return s.check() }
	f := root.PersistentFlags()
	f.StringVar(&s.docker, "docker-host", "", "address of the Docker daemon (default: DOCKER_HOST, else the usual socket)")
	f.StringVar(&s.sessionDir, "session-dir", "", "folder for recordings (default: "+bench.DefaultSessionDir()+")")
	f.BoolVar(&s.noFile, "no-file", false, "keep the recording in memory only")
	f.BoolVar(&s.byProcess, "by-process", false, "count who calls what, too; slows the target's own calls by some 70 ns each")
	f.IntVar(&s.sampleRate, "sample-rate", 0, "live samples a second per CPU (0: the default); counts are exact at any rate")
	f.StringVar(&s.color, "color", "auto", "auto, always or never (auto honours NO_COLOR)")
	f.BoolVar(&s.ascii, "ascii", false, "draw with ASCII only")
	f.BoolVar(&s.readOnly, "readonly", false, "watch and edit only: nothing can be applied or restarted")
	root.AddCommand(demoCommand(s), watchCommand(s), runCommand(s), recordCommand(s), targetsCommand(s),
		openCommand(s), showCommand(s), exportCommand(s), mergeCommand(s), diffCommand(s), reportCommand(s),
		rehearseCommand(s), holdCommand(s), editCommand(s))
	root.AddCommand(verifyCommand(s), inspectCommand(s), proveCommand(s), checkCommand(s))
	return root
}

// check finds what is wrong with the shared flags, for every command alike.
func (s *settings) check() error {
	switch s.color {
	case "auto", "always", "never":
	default:
		return usageError{fmt.Errorf("--color %q: say auto, always or never", s.color)}
	}
	if s.sampleRate < 0 {
		return usageError{fmt.Errorf("--sample-rate %d: a rate is not negative", s.sampleRate)}
	}
	if _, err := ready.ParseAll(s.ready); err != nil {
		return usageError{err}
	}
	return nil
}

// readyFlag adds the flag that names readiness probes.
func (s *settings) readyFlag(c *cobra.Command) {
	c.Flags().StringArrayVar(&s.ready, "ready", nil, "how it tells that it is ready: tcp:PORT, http://:PORT/PATH, log:TEXT, logfile:PATH:TEXT, health, notify, cmd:COMMAND (all that are given)")
	text := c.Long
	if text == "" {
		text = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
	}
	c.Long = text + "\n\n" + readyHelp
}

var readyHelp = fmt.Sprintf(`With --ready the proposed split is where the target answers, and then calls nothing
new for three seconds. A probe is asked ten times a second at first, then once, until
it is answered, for %.0f minutes at most:

%s

tcp and http connect from within the target's network (for a container that takes
CAP_SYS_ADMIN): it accepts them, and that is in the recording. They ask once more after the split, so that what answering takes is seen
in run, too. The log, health and notify are only listened to.`, ready.Limit.Minutes(), ready.Help)

// flagError says what a flag takes, in place of what a parser of Go's says.
func flagError(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	f := bad.GetFlag()
	takes := map[string]string{"int": "a whole number", "duration": "a time like 30s or 5m", "bool": "true or false"}[f.Value.Type()]
	if takes == "" {
		return err
	}
	return fmt.Errorf("--%s %q: it takes %s", f.Name, bad.GetValue(), takes)
}

// noArgs and oneArg are cobra's, with errors that main knows as bad usage.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("no command %q (to watch a target: speaker watch %s)", args[0], args[0])}
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("it takes %s, and nothing else", what)}
		}
		return nil
	}
}

// workbench opens the screen.
func (s *settings) workbench(ctx context.Context, bo bench.Options, to tui.Options) error {
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return hinted{errors.New("the workbench needs a terminal"), "without one: speaker record, show and export"}
	}
	if to.Work == nil {
		if err := trace.Supported(); err != nil {
			return err
		}
	}
	to.Color, to.ASCII, to.ReadOnly = s.color, s.ascii, s.readOnly
	to.In, to.Out = os.Stdin, os.Stdout
	bo.Follow = true
	b := bench.New(bo)
	defer func() {
		for _, line := range b.Farewell() {
			fmt.Fprintln(s.out, printable(line))
		}
	}()
	return tui.Run(ctx, b, to)
}

func demoCommand(s *settings) *cobra.Command {
	rate := 20
	c := &cobra.Command{Use: "demo", Short: "boot the built-in demo container under the workbench", Args: oneOrNone,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rate < 1 || rate > sample.MaxLoad {
				return usageError{fmt.Errorf("--load %d: it takes 1 to %d requests a second", rate, sample.MaxLoad)}
			}
			o := s.options()
			o.LoadRate = rate
			return s.workbench(cmd.Context(), o, tui.Options{Start: "demo", Boot: true})
		}}
	c.Flags().IntVar(&rate, "load", rate, "requests a second that the demo is sent")
	return c
}

func oneOrNone(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}

func watchCommand(s *settings) *cobra.Command {
	var boot bool
	c := &cobra.Command{Use: "watch TARGET", Short: "open the workbench on a target", Args: oneArg("one TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.workbench(cmd.Context(), s.options(), tui.Options{Start: args[0], Boot: boot})
		}}
	c.Flags().BoolVar(&boot, "boot", false, "boot the container again, with the tracer armed before its first call")
	s.readyFlag(c)
	return c
}

func runCommand(s *settings) *cobra.Command {
	var output string
	c := &cobra.Command{Use: "run -- COMMAND [ARG...]", Short: "start a command under the workbench, watched from its first call",
		Args: someCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			o := s.options()
			o.Command = args
			out, err := outputFile(output)
			if err != nil {
				return err
			}
			if out != nil {
				defer out.Close()
			}
			o.Output = out
			return s.workbench(cmd.Context(), o, tui.Options{Start: "run", Boot: true})
		}}
	c.Flags().StringVar(&output, "output", "", "append the command's output to this file (default: nowhere)")
	s.readyFlag(c)
	return c
}

func someCommand(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("a command is needed: speaker run -- COMMAND [ARG...]")}
	}
	return nil
}

// outputFile opens what a started command writes to; nil for none.
func outputFile(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open --output: %w", err)
	}
	return f, nil
}
