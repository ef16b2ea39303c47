package bench

import (
	"context"

	"speaker/apply"
	"speaker/trace/target"
)

// Inspect finds a running target and dumps the filters that its threads have. It
// changes nothing.
func (b *Bench) Inspect(ctx context.Context, ref string) (target.Target, []apply.Stack, []apply.ProcError, error) {
	t, err := b.resolve(ctx, ref)
	if err != nil {
		return t, nil, nil, err
	}
	stacks, unseen, err := apply.Inspect(ctx, t.Pids)
	return t, stacks, unseen, err
}
