package injector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// Take gets a listener, and the process that it came from. It closes neither: the file is
// closed after it returns.
type Take func(listener *os.File, pid int) error

// ErrDied says that the injector ended before it could tell how far it came.
var ErrDied = errors.New("the injector was killed")

// Hold puts a filter with a listener into every process, until passes over them find none
// without it. take gets each listener while the process that it is of is still stopped, or
// shortly after it goes on; it must answer for it from then on. What could not be served is
// in the report, with no error. The report tells what was done, also with an error; work
// that has begun goes on when ctx ends, and stops when this process does.
//
// When the injector is killed (ErrDied), listeners that it had not handed over yet are
// looked for in the processes themselves, where they stay for a moment. Another Hold then
// serves what is missing.
func Hold(ctx context.Context, pids PidsFunc, insns []unix.SockFilter, take Take) (Report, error) {
	c, err := start()
	if err != nil {
		return Report{}, err
	}
	taken := make(chan error, 1)
	go func() { taken <- c.takeAll(take) }()
	if err = c.enc.Encode(request{Op: opHold, Insns: insns}); err != nil {
		err = fmt.Errorf("tell injector: %w", err)
	}
	var m message
	if err == nil {
		m, err = c.finish(ctx, pids)
	}
	if err != nil && !m.Done {
		err = errors.Join(ErrDied, err, salvage(pids, take))
	}
	c.conn.Close()
	_ = c.cmd.Wait() // with it goes its end of what it passes by
	err = errors.Join(err, <-taken)
	c.pass.Close()
	return m.Report, errors.Join(err, closed(pids))
}

// takeAll takes listeners until the injector has ended.
func (c *client) takeAll(take Take) error {
	var failed error
	for {
		f, pid, err := receiveOf(c.pass)
		if err != nil {
			return failed
		}
		if err := take(f, pid); err != nil {
			failed = fmt.Errorf("answer for process %d: %w", pid, err)
		}
		f.Close()
	}
}

// closedWithin is how long a process may take to close what the injector did not.
const closedWithin = 2 * time.Second

// salvage takes the listeners that are open in the processes themselves.
func salvage(pids PidsFunc, take Take) error {
	list, err := pids()
	for _, pid := range list {
		fds, found := proc.Listeners(pid)
		err = errors.Join(err, found)
		for _, fd := range fds {
			err = errors.Join(err, takeFrom(pid, fd, take))
		}
	}
	return err
}

// closed waits until no process has a listener open: of those that an injector was killed
// over, which close it by themselves.
func closed(pids PidsFunc) error {
	list, err := pids()
	for end := time.Now().Add(closedWithin); err == nil; time.Sleep(5 * time.Millisecond) {
		var open int
		if open, err = anyOpen(list); open == 0 {
			break
		}
		if err == nil && time.Now().After(end) {
			err = fmt.Errorf("process %d keeps a listener, and could answer for itself", open)
		}
	}
	return err
}

// anyOpen names a process that has a listener, 0 for none.
func anyOpen(pids []int) (int, error) {
	for _, pid := range pids {
		if fds, err := proc.Listeners(pid); err != nil || len(fds) > 0 {
			return pid, err
		}
	}
	return 0, nil
}

func takeFrom(pid, fd int, take Take) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // it has ended
	}
	defer unix.Close(pidfd)
	got, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return nil // it is closed by now
	}
	f := os.NewFile(uintptr(got), "seccomp listener")
	defer f.Close()
	return take(f, pid)
}
