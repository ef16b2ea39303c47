package keeper

import (
	"errors"
	"fmt"
	"maps"

	"speaker/policy"
	"speaker/trace/proc"
)

// Rule answers one call, whatever the mode says about the rest.
type Rule struct {
	Call  policy.Call
	When  []policy.Condition `json:",omitempty"` // with these arguments alone, of a call that run allows with others
	Pid   int                // of the process; 0: of all
	Allow bool               // else it is denied
	Errno int32              // of the denial; 0: that of the policy
}

// maxRules bounds the rules of a hold.
const maxRules = 1000

type ruleKey struct {
	call policy.Call
	pid  int
	with string
}

// ruling is a rule in place. The number of a process may be given to another one:
// the rule is not for that.
type ruling struct {
	Rule
	began uint64 // see proc.Began
}

// switchRule sets a rule, or takes it back.
func (h *hold) switchRule(r Rule, forget bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rule(r, forget)
}

func (h *hold) rule(r Rule, forget bool) error {
	k := ruleKey{r.Call, r.Pid, withText(r.When)}
	if forget {
		delete(h.rules, k)
		if k.with == "" { // and what was said of it with some arguments
			maps.DeleteFunc(h.rules, func(x ruleKey, _ ruling) bool { return x.call == k.call && x.pid == k.pid })
		}
		return nil
	}
	began, _, ok := proc.Began(r.Pid)
	if r.Pid != 0 && !ok {
		return fmt.Errorf("process %d is not there", r.Pid)
	}
	if len(h.rules) >= maxRules {
		return fmt.Errorf("there are %d rules already, and no more can be", maxRules)
	}
	if err := checkErrno(r.Errno); err != nil {
		return err
	}
	h.rules[k] = ruling{r, began}
	h.log.note(h.mode, r.String())
	return nil
}

// checkErrno refuses what the kernel would not pass on as the error of a denial; 0
// stands for the policy's.
func checkErrno(e int32) error {
	if e < 0 || e > 4095 {
		return errors.New("an error is a number from 1 to 4095")
	}
	return nil
}

// String says what a rule does.
func (r Rule) String() string {
	what, who := "denied", "in all processes"
	if r.Allow {
		what = "allowed"
	}
	if r.Pid != 0 {
		who = fmt.Sprintf("in process %d", r.Pid)
	}
	return fmt.Sprintf("%s is %s %s", r.Call.With(r.When), what, who)
}

// ruleFor finds the rule for a call: the process's own goes before that of all, and what
// was said of its arguments before what was said of the call.
func (h *hold) ruleFor(c policy.Call, pid int, with string) (Rule, bool) {
	if len(h.rules) == 0 {
		return Rule{}, false
	}
	for _, k := range []ruleKey{{c, pid, with}, {c, pid, ""}, {c, 0, with}, {c, 0, ""}} {
		r, ok := h.rules[k]
		if !ok {
			continue
		}
		if k.pid == 0 {
			return r.Rule, true
		}
		if began, _, there := proc.Began(pid); there && r.began == began {
			return r.Rule, true
		}
		delete(h.rules, k)
	}
	return Rule{}, false
}

// dropDenials takes back what is denied by a rule. Locked by the caller.
func (h *hold) dropDenials() {
	for k, r := range h.rules {
		if !r.Allow {
			delete(h.rules, k)
		}
	}
}
