package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"speaker/apply/injector"
	"speaker/policy"
)

// Report tells how an injection went.
type Report struct {
	Processes  int             // that have the filter now
	Passes     int             // over the target's processes
	Died       int             // processes that ended while they were worked on
	Stops      []time.Duration // per process: how long one of its threads did not run
	Failed     []ProcError
	NoNewPrivs int // processes in which no_new_privs had to be set
}

// ProcError is a process that could not be served; it runs on as it was.
type ProcError struct {
	Pid  int
	Comm string // hostile bytes
	Text string
}

// Error quotes the hostile name.
func (e ProcError) Error() string { return fmt.Sprintf("process %d (%q): %s", e.Pid, e.Comm, e.Text) }

// ErrIncomplete says that some process could not be served; the report names it.
var ErrIncomplete = errors.New("not every process has the filter")

// Inject puts a filter into every thread of every process, permanently. pids
// lists the target's processes, as host pids, and is called again until no new
// one is found. An error comes with the report of what was done: there is no way
// back for those that have the filter. When ctx ends before any
// process has the filter, nothing is done; afterwards all get it, also should
// this process die, so that no target is left half filtered.
func Inject(ctx context.Context, pids func() ([]int, error), f policy.Filter) (Report, error) {
	r, err := injector.Install(ctx, pids, f.Insns)
	out := reportOf(r)
	if err != nil {
		return out, fmt.Errorf("inject: %w", err)
	}
	if len(out.Failed) > 0 {
		return out, fmt.Errorf("inject: %w: %w", ErrIncomplete, out.Failed[0])
	}
	if out.Processes == 0 {
		return out, errors.New("inject: the target has no process")
	}
	return out, nil
}

func reportOf(r injector.Report) Report {
	out := Report{Processes: r.Processes, Passes: r.Passes, Died: r.Died, Stops: r.Stops, NoNewPrivs: r.NoNewPrivs}
	for _, f := range r.Failed {
		out.Failed = append(out.Failed, ProcError(f))
	}
	return out
}
