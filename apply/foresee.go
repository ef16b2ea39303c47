package apply

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/injector"
	"speaker/policy"
)

// foreseeWithin bounds what a target of many threads may take to be looked at.
const foreseeWithin = 20 * time.Second

var errUnforeseen = fmt.Errorf("its filters could not be looked at within %v", foreseeWithin)

// lookForeseen proves beforehand: it puts the filter, in thought, on top of those
// that every thread has. What would then differ, a supervisor or a tracer that
// an older filter asks, or a filter that cannot be looked at, no later step mends.
func lookForeseen(s *subject) []find {
	if s.unheld {
		return []find{{level: Note, found: "not looked at, for the threads cannot be stopped now", remedy: "mend that first"}}
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), foreseeWithin, errUnforeseen)
	defer cancel()
	p, err := s.foresee(ctx, s.spec())
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return []find{{level: Block, found: err.Error(), remedy: "try again"}}
	}
	var out []find
	if n := len(p.Differ); n > 0 {
		x := p.Differ[0]
		out = append(out, find{level: Block, found: fmt.Sprintf("%s to %s in process %d (%q), where a filter already there says %s", x.Want, x.Asked(), x.Pid, x.Comm, x.Got)})
	}
	for _, u := range p.Unseen {
		out = append(out, find{level: Block, found: u.Error(), remedy: "try again, or end that process"})
		if len(out) == 5 {
			break
		}
	}
	return out
}

// foresee is the proof of a filter that is not in place yet.
func (s *subject) foresee(ctx context.Context, want policy.Spec) (Proof, error) {
	f, err := policy.Compile(want)
	if err != nil {
		return Proof{}, err
	}
	d, err := s.dump()
	if err != nil {
		return Proof{}, err
	}
	var p Proof
	err = p.compare(ctx, topped(d, f.Insns), wantedBy(want))
	return p, err
}

// topped is a dump as it would be with one more filter in every thread.
func topped(d injector.Dump, f []unix.SockFilter) injector.Dump {
	d.Filters = append(slices.Clip(d.Filters), f)
	d.Chains = slices.Clone(d.Chains)
	for i, chain := range d.Chains {
		d.Chains[i] = append(slices.Clip(chain), len(d.Filters)-1)
	}
	return d
}
