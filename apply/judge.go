package apply

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// judge compares stacks of filters with a spec. Each filter is asked once,
// however many stacks it is in.
type judge struct {
	cases   []asked
	answers [][]policy.Action // by filter, then case
}

// asked is what filters are asked for: a call, with arguments where the spec has
// conditions on them.
type asked struct {
	call policy.Call
	args policy.Args
	want policy.Action
}

// verdict is what one stack of filters answers, compared with the spec.
type verdict struct {
	differ   []Difference // without the thread
	stricter []policy.Call
}

// often is after how many calls it is looked whether anybody still waits.
const often = 64

// newJudge asks every filter for every call there is, and some numbers beyond. A
// hostile one may have 4096 instructions, so that this takes a while.
func newJudge(ctx context.Context, filters [][]unix.SockFilter, want policy.Spec) (*judge, error) {
	j := &judge{cases: everyCase(want)}
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
		var err error
		d := policy.DataOf(c.call)
		d.Args = c.args
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
		got, wanted := j.of(chain, i), c.want
		switch {
		case got.Kind() == wanted.Kind() || got.Denies() && wanted.Denies() || got.Allows() && wanted.Allows():
		case got.Denies() && len(chain) > 1 && j.of(chain[:len(chain)-1], i).Denies():
			v.stricter = append(v.stricter, c.call)
		default:
			v.differ = append(v.differ, Difference{Call: c.call, Args: c.args, Got: got, Want: wanted})
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

// everyCase lists every call, and those with conditions at all arguments at which
// the answer could change.
func everyCase(want policy.Spec) []asked {
	var out []asked
	conditional := want.Conditional()
	for _, c := range everyCall() {
		if !conditional.Has(c) {
			out = append(out, asked{call: c, want: want.Want(c)})
			continue
		}
		for _, args := range want.Edges(c) {
			out = append(out, asked{c, args, want.Answer(c, args)})
		}
	}
	return out
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
