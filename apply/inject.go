package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"speaker/apply/injector"
	"speaker/policy"
	"speaker/trace/proc"
)

// Report tells how an injection went.
type Report struct {
	Processes  int             // that have the filter now
	Passes     int             // over the target's processes
	Died       int             // processes that ended while they were worked on
	Stops      []time.Duration // per process: how long one of its threads did not run
	Failed     []ProcError
	NoNewPrivs int // processes in which no_new_privs had to be set
	// Unsure says that more may have the filter than is told here: a process was
	// served in part, or the injector ended before it could tell.
	Unsure bool
}

// Applied says whether the filter is, or may be, in some process: then what was
// done is not to be undone, whatever the error says.
func (r Report) Applied() bool { return r.Processes > 0 || r.Unsure }

// ProcError is a process that could not be served or looked at. The text says
// when some of its threads have the filter; else it runs on as it was.
type ProcError struct {
	Pid  int    // 0: it is about no single process
	Comm string // hostile bytes
	Text string
}

// Error quotes the hostile name.
func (e ProcError) Error() string {
	if e.Pid == 0 {
		return e.Text
	}
	return fmt.Sprintf("process %d (%q): %s", e.Pid, e.Comm, e.Text)
}

// Why an injection did not do all that it was to.
var (
	ErrIncomplete = errors.New("not every process has the filter") // the report names it
	ErrUnsure     = errors.New("the filter may be in some processes all the same")
	ErrRing       = errors.New("what an io_uring ring does passes by every filter")
)

// Inject puts a filter into every thread of every process, permanently. pids
// lists the target's processes, as host pids, and is called again until no new
// one is found. An error comes with the report of what was done: there is no way
// back for those that have the filter. When ctx ends before any
// process has the filter, nothing is done; afterwards all get it, also should
// this process die, so that no target is left half filtered.
//
// A target with an io_uring ring is refused (ErrRing), and one that made a ring
// while the filter was put in is told by the same error.
func Inject(ctx context.Context, pids func() ([]int, error), f policy.Filter) (Report, error) {
	if err := findRing(ctx, pids); err != nil {
		return Report{}, fmt.Errorf("inject: nothing was done: %w", err)
	}
	r, err := injector.Install(ctx, pids, f.Insns)
	out := reportOf(r)
	switch {
	case err != nil && r.Unsure:
		return out, fmt.Errorf("inject: %w: %w", ErrUnsure, err)
	case err != nil:
		return out, fmt.Errorf("inject: %w", err)
	case len(out.Failed) > 0:
		return out, fmt.Errorf("inject: %w: %w", ErrIncomplete, out.Failed[0])
	case out.Processes == 0:
		return out, errors.New("inject: the target has no process")
	}
	// Not with ctx: the filter is in place, and what it is worth must be told.
	if err := findRing(context.WithoutCancel(ctx), pids); err != nil {
		return out, fmt.Errorf("inject: the filter is in place, but not to be relied on: %w", err)
	}
	return out, nil
}

// findRing is the check for rings anew, right before and after: the target went
// on running since Preflight. After the filter none can be made.
func findRing(ctx context.Context, pids func() ([]int, error)) error {
	list, err := pids()
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, pid := range list {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch ring, err := proc.Uring(pid); {
		case gone(err):
		case err != nil:
			return err
		case ring:
			return fmt.Errorf("process %d has a ring: %w", pid, ErrRing)
		}
	}
	return nil
}

func reportOf(r injector.Report) Report {
	out := Report{Processes: r.Processes, Passes: r.Passes, Died: r.Died, Stops: r.Stops, NoNewPrivs: r.NoNewPrivs, Unsure: r.Unsure}
	for _, f := range r.Failed {
		out.Failed = append(out.Failed, ProcError(f))
	}
	return out
}
