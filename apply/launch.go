package apply

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeperLeaves is how long a keeper may take to leave.
const keeperLeaves = 5 * time.Second

// LaunchOptions say how a command is started. What is empty is as in our own
// process, except that the standard streams are /dev/null.
type LaunchOptions struct {
	Cgroup         string // an existing cgroup directory that the command starts in
	Dir            string
	Env            []string
	Stdout, Stderr *os.File
}

// Launched is a command that waits to be started. It is a session of its own
// and survives us; before Release it does not.
type Launched struct {
	Pid    int // now the launcher's, later the program's
	cmd    *exec.Cmd
	gate   *os.File // closing it without a byte ends the launcher
	report *os.File
}

// Descriptors of the launcher. Neither reaches the program.
const (
	launchGateFD   = 3
	launchReportFD = 4
)

// Launch prepares a command: a process is made, in its cgroup, that will exec it
// at Release. The caller calls Release or Cancel, and then Wait.
func Launch(argv []string, opt LaunchOptions) (*Launched, error) {
	if len(argv) == 0 {
		return nil, errors.New("launch: no command")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	gateFar, gate, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	defer gateFar.Close()
	report, reportFar, err := os.Pipe()
	if err != nil {
		gate.Close()
		return nil, fmt.Errorf("launch: %w", err)
	}
	defer reportFar.Close()
	l := &Launched{gate: gate, report: report}
	l.cmd = exec.Command("/proc/self/exe", append([]string{LaunchWord, opt.Cgroup, path}, argv...)...)
	l.cmd.Args[0] = "speaker"
	l.cmd.Dir, l.cmd.Env = opt.Dir, opt.Env
	if opt.Stdout != nil {
		l.cmd.Stdout = opt.Stdout
	}
	if opt.Stderr != nil {
		l.cmd.Stderr = opt.Stderr
	}
	l.cmd.ExtraFiles = []*os.File{gateFar, reportFar}
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := l.cmd.Start(); err != nil {
		gate.Close()
		report.Close()
		return nil, fmt.Errorf("launch: %w", err)
	}
	l.Pid = l.cmd.Process.Pid
	reportFar.Close() // so that the report ends with the launcher's copy
	if ready := make([]byte, 1); readByte(report, ready) != nil || ready[0] != launchReady {
		why, _ := io.ReadAll(report)
		l.Cancel()
		_ = l.Wait()
		return nil, fmt.Errorf("launch %s: %s%s", argv[0], ready, why)
	}
	return l, nil
}

// launchReady is the launcher's word that it waits; anything else is an error's text.
const launchReady = 1

func readByte(f *os.File, b []byte) error {
	_, err := io.ReadFull(f, b)
	return err
}

// Release lets the command start and returns when its exec is done, or with
// the reason why it failed.
func (l *Launched) Release() error {
	if _, err := l.gate.Write([]byte{1}); err != nil {
		return fmt.Errorf("start command: %w", err)
	}
	l.gate.Close()
	defer l.report.Close()
	b, err := io.ReadAll(l.report) // ends at the exec: the other end closes
	if err != nil {
		return fmt.Errorf("start command: %w", err)
	}
	if len(b) > 0 {
		return fmt.Errorf("start command: %s", b)
	}
	return nil
}

// Cancel ends a command that was not released.
func (l *Launched) Cancel() {
	l.gate.Close()
	l.report.Close()
}

// Wait waits for the end of the command and answers its exit as os/exec does.
func (l *Launched) Wait() error { return l.cmd.Wait() }

// LaunchMain is the `_launch` process: it enters the cgroup, waits, and execs.
// It execs from the main thread (see init), which keeps its tid over the exec.
func LaunchMain(args []string) int {
	report := os.NewFile(launchReportFD, "report")
	gate := os.NewFile(launchGateFD, "gate")
	unix.CloseOnExec(launchGateFD)
	unix.CloseOnExec(launchReportFD)
	if len(args) < 3 {
		fmt.Fprint(report, "no command")
		return 1
	}
	cgroup, path, argv := args[0], args[1], args[2:]
	if cgroup != "" {
		procs := filepath.Join(cgroup, "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			fmt.Fprintf(report, "enter cgroup: %v", err)
			return 1
		}
	}
	if _, err := report.Write([]byte{launchReady}); err != nil {
		return 1
	}
	if n, err := gate.Read(make([]byte, 1)); n != 1 || err != nil {
		return 1
	}
	err := unix.Exec(path, argv, os.Environ())
	fmt.Fprintf(report, "%s: %v", path, err)
	return 127
}
