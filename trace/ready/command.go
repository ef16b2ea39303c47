package ready

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// command asks whether a shell command on this host ends well. What it writes is
// thrown away.
type command string

func (p command) ask(ctx context.Context, t Target, tell func(Answer)) error {
	return poll(ctx, t, tell, p.run)
}

func (p command) run(ctx context.Context, pid int) (Answer, error) {
	c := exec.CommandContext(ctx, "/bin/sh", "-c", string(p))
	c.Env = append(os.Environ(), fmt.Sprintf("SPEAKER_PID=%d", pid))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return Answer{At: time.Now(), Said: "ends well"}, nil
	case ctx.Err() != nil:
		return Answer{}, fmt.Errorf("the command did not end within %v", askTime)
	case errors.As(err, &exit):
		return Answer{}, fmt.Errorf("the command ends with %v", exit.ProcessState)
	}
	return Answer{}, fmt.Errorf("%w: the command cannot be run: %w", ErrUnsupported, err)
}
