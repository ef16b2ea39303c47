package bench

import (
	"context"
	"errors"
	"fmt"

	"speaker/apply"
	"speaker/policy"
	"speaker/trace/target"
)

// Checked are the checks before an apply.
type Checked struct {
	Checks []apply.Check
	Target target.Target
	Mode   apply.Mode
	Policy string // whose, in words
}

// ErrNoPolicy says that it is not known what would be applied.
var ErrNoPolicy = errors.New("nothing is held there, so what would be applied is not known")

// Check makes the checks before wanted's policy is applied to a running target, and
// changes nothing. Without a session and a profile it is that of the hold in place.
// mode nil is the seal of such a hold, else an injection.
func (b *Bench) Check(ctx context.Context, ref string, want Want, mode *apply.Mode) (c Checked, err error) {
	if c.Target, err = b.resolve(ctx, ref); err != nil {
		return c, err
	}
	if c.Target.Pid == 0 {
		return c, fmt.Errorf("%s is not running", c.Target.Ref())
	}
	st, err := stands(c.Target)
	if err != nil {
		return c, err
	}
	switch {
	case mode != nil:
		c.Mode = *mode
	case st.held:
		c.Mode = apply.ModeSeal
	}
	if c.Mode == apply.ModeSeal && !st.held {
		return c, errors.New("nothing is held there, so nothing can be sealed")
	}
	p, err := c.policy(st, want)
	if err != nil {
		return c, err
	}
	c.Checks = apply.Preflight(c.Target.Pids, p, c.Mode)
	return c, nil
}

// policy is what would be applied.
func (c *Checked) policy(st standing, want Want) (policy.Policy, error) {
	switch {
	case want.Profile != nil:
		c.Policy = "the profile"
		return policyOf(*want.Profile), nil
	case want.Session != nil:
		c.Policy = "the session's policy"
		sp, ok := want.Session.Split()
		if !ok {
			return policy.Policy{}, errors.New("the session has no split, so no policy")
		}
		return want.Session.Policy(sp), nil
	case st.held:
		c.Policy = "the policy of the hold in place"
		return apply.PolicyOf(st.narrow), nil
	}
	return policy.Policy{}, ErrNoPolicy
}

// policyOf is a policy whose run filter allows what a profile does.
func policyOf(r policy.Rules) policy.Policy {
	always, sometimes := r.Allowed()
	spec := policy.Spec{Allow: always}
	for _, c := range sometimes.Calls() {
		spec.When = append(spec.When, r.Of(c)...)
	}
	return apply.PolicyOf(spec)
}
