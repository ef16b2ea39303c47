package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"speaker/apply"
	"speaker/policy"
	"speaker/tui/bench"
)

// only is what a switch is about, when not all of a hold.
type only struct {
	call  string
	pid   int
	errno errnoFlag
}

// errnoFlag is an error by its name or number; 0: none is named.
type errnoFlag int32

func (e *errnoFlag) String() string {
	if *e == 0 {
		return ""
	}
	return policy.RefuseWith(unix.Errno(*e)).String()
}

func (e *errnoFlag) Type() string { return "error" }

// Set reads it.
func (e *errnoFlag) Set(s string) error {
	if n, err := strconv.ParseUint(s, 10, 12); err == nil {
		*e = errnoFlag(n)
		return nil
	}
	a, err := policy.ParseAction(s)
	if err != nil || a.Errno() == 0 {
		return errors.New("say an error by its name or number: EACCES, 13")
	}
	*e = errnoFlag(a.Errno())
	return nil
}

// ruleHold allows or denies one call of a hold.
func (s *settings) ruleHold(name, verb string, x only) error {
	switch {
	case verb != "deny" && verb != "allow":
		return usageError{errors.New("--call goes with deny and allow")}
	case x.call == "":
		return usageError{errors.New("--call says which call is meant: speaker hold NAME deny --call mkdir --pid 12")}
	case s.readOnly:
		return bench.ErrReadOnly
	}
	c, err := policy.ParseCall(x.call)
	if err != nil {
		return usageError{err}
	}
	hold, err := s.attach(name)
	if err != nil {
		return err
	}
	st, err := hold.Status()
	if err != nil {
		return err
	}
	if err := hold.Rule(apply.Rule{Call: c, Pid: x.pid, Allow: verb == "allow", Errno: int32(x.errno)}, false); err != nil {
		return err
	}
	if !slices.ContainsFunc(st.ByCall, func(y apply.CallCount) bool { return y.Call == c }) {
		fmt.Fprintf(s.out, "%s was not called since the hold began; only calls that boot has and run has not come to the keeper\n", c)
	}
	return s.status(hold)
}

// answerHold answers a question: NAME answer ID VERDICT.
func (s *settings) answerHold(args []string, x only) error {
	if len(args) != 4 {
		return usageError{errors.New("say which question, and how: speaker hold NAME answer ID once")}
	}
	id, err := strconv.Atoi(args[2])
	if err != nil {
		return usageError{fmt.Errorf("%q is no number of a question: speaker hold %s lists them", args[2], args[0])}
	}
	v := apply.Verdict(args[3])
	if !slices.Contains([]apply.Verdict{apply.AllowOnce, apply.AllowGood, apply.DenyOnce, apply.DenyGood}, v) {
		return usageError{fmt.Errorf("answer %q: say once, allow, deny or never", args[3])}
	}
	if s.readOnly {
		return bench.ErrReadOnly
	}
	hold, err := s.attach(args[0])
	if err != nil {
		return err
	}
	if err := hold.Answer(id, v, int32(x.errno)); err != nil {
		return err
	}
	return s.status(hold)
}

func (s *settings) attach(name string) (*apply.Hold, error) {
	h, err := find(name)
	if err != nil {
		return nil, err
	}
	return apply.Attach(h.Name)
}
