package apply

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"speaker/apply/injector"
)

// Stack is what some threads have: filters that stand on each other.
type Stack struct {
	Filters            [][]unix.SockFilter // oldest first; none: every call is allowed
	Threads, Processes int
	Pid                int    // of one of them
	Comm               string // its name: hostile bytes
}

// Inspect dumps the filters of every thread of the processes that pids lists, each
// stopped for a moment, and changes nothing. What could not be looked at is in
// unseen. It takes CAP_SYS_PTRACE and CAP_SYS_ADMIN.
func Inspect(ctx context.Context, pids func() ([]int, error)) (stacks []Stack, unseen []ProcError, err error) {
	d, err := injector.DumpAll(ctx, pids)
	if err != nil {
		return nil, nil, fmt.Errorf("inspect: %w", err)
	}
	stacks = make([]Stack, len(d.Chains))
	seen := make([]map[int]bool, len(d.Chains))
	for i, chain := range d.Chains {
		seen[i] = map[int]bool{}
		for _, f := range chain {
			stacks[i].Filters = append(stacks[i].Filters, d.Filters[f])
		}
	}
	for _, t := range d.Threads {
		s := &stacks[t.Chain]
		if s.Threads == 0 {
			s.Pid, s.Comm = t.Pid, t.Comm
		}
		s.Threads++
		seen[t.Chain][t.Pid] = true
	}
	for i := range stacks {
		stacks[i].Processes = len(seen[i])
	}
	for _, f := range d.Failed {
		unseen = append(unseen, ProcError(f))
	}
	return stacks, unseen, nil
}
