package apply

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// wanted is one case: a call with arguments, and what is to be answered to it.
type wanted struct {
	call policy.Call
	args policy.Args
	want policy.Action
}

// wantedBy lists the cases of a spec: every call, and those with conditions at all
// arguments at which the answer could change.
func wantedBy(s policy.Spec) []wanted {
	var out []wanted
	conditional := s.Conditional()
	for _, c := range everyCall() {
		if !conditional.Has(c) {
			out = append(out, wanted{call: c, want: s.Want(c)})
			continue
		}
		for _, args := range s.Edges(c) {
			out = append(out, wanted{c, args, s.Answer(c, args)})
		}
	}
	return out
}

// wantedByRules lists the cases of rules, at all arguments at which they could
// change their answer.
func wantedByRules(r policy.Rules) []wanted {
	var out []wanted
	for _, c := range everyCall() {
		for _, args := range policy.Edges(r.Of(c)) {
			out = append(out, wanted{c, args, r.Want(c, args)})
		}
	}
	return out
}

// judge compares stacks of filters with what is wanted. Each filter is asked once,
// however many stacks it is in.
type judge struct {
	cases   []wanted
	answers [][]policy.Action // by filter, then case
}

// verdict is what one stack of filters answers, compared with what is wanted.
type verdict struct {
	differ   []Difference // the first ones, without the thread
	differs  int          // all of them
	stricter []policy.Call
}

// often is after how many calls it is looked whether anybody still waits.
const often = 64

// newJudge asks every filter for every case there is. A hostile one may have 4096
// instructions, so that this takes a while.
func newJudge(ctx context.Context, filters [][]unix.SockFilter, cases []wanted) (*judge, error) {
	j := &judge{cases: cases}
	for _, f := range filters {
		if err := j.ask(ctx, f); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// ask adds a filter.
func (j *judge) ask(ctx context.Context, f []unix.SockFilter) error {
	answers := make([]policy.Action, len(j.cases))
	for i, c := range j.cases {
		if i%often == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d := policy.DataOf(c.call)
		d.Args = c.args
		var err error
		if answers[i], err = policy.Eval(f, d); err != nil {
			return fmt.Errorf("evaluate a dumped filter for %s: %w", c.call, err)
		}
	}
	j.answers = append(j.answers, answers)
	return nil
}

// judge compares a stack, given by indexes of filters, oldest first.
func (j *judge) judge(ctx context.Context, chain []int) (verdict, error) {
	var v verdict
	for i, c := range j.cases {
		if i%often == 0 && ctx.Err() != nil { // a stack may be thousands deep
			return v, context.Cause(ctx)
		}
		got := j.of(chain, i)
		switch {
		case got.Denies() && c.want.Denies() && got.Over(c.want) == got:
		case got.Kind() == c.want.Kind() || got.Allows() && c.want.Allows():
		case got.Denies() && len(chain) > 1 && j.of(chain[:len(chain)-1], i).Denies():
			if n := len(v.stricter); n == 0 || v.stricter[n-1] != c.call {
				v.stricter = append(v.stricter, c.call)
			}
		default:
			if v.differs++; len(v.differ) < maxDiffer {
				v.differ = append(v.differ, Difference{Call: c.call, Args: c.args, Got: got, Want: c.want})
			}
		}
	}
	return v, nil
}

// of is what a stack answers in the i-th case.
func (j *judge) of(chain []int, i int) policy.Action {
	got := policy.ActAllow
	for _, f := range chain {
		got = j.answers[f][i].Over(got)
	}
	return got
}

// everyCall lists all numbers of all ABIs that this machine's kernel takes.
func everyCall() []policy.Call {
	var out []policy.Call
	for _, abi := range []policy.ABI{policy.X86_64, policy.I386, policy.X32} {
		for nr := range uint32(1024) {
			out = append(out, policy.Call{ABI: abi, Nr: nr})
		}
	}
	return out
}
