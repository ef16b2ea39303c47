package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"speaker/policy"
	"speaker/session"
)

// answerFlags say what calls get that are not allowed, for one command: the file is
// not changed.
type answerFlags struct{ denied, newer string }

func (a *answerFlags) add(f *pflag.FlagSet) {
	f.StringVar(&a.denied, "default-action", "", "what calls get that are not allowed: an error like EACCES, kill, trap or log (default: the session's, else EPERM)")
	f.StringVar(&a.newer, "newer-action", "", "what those of them get that are newer than Linux 5.0 (default: the session's, else ENOSYS)")
}

// apply makes the edits in memory.
func (a *answerFlags) apply(s *session.Session, ph policy.Phase) error {
	for _, x := range []struct {
		flag, text string
		op         policy.EditOp
	}{{"default-action", a.denied, policy.OpDenied}, {"newer-action", a.newer, policy.OpNewer}} {
		if x.text == "" {
			continue
		}
		text := strings.ReplaceAll(x.text, "-", " ")
		if text == "kill" {
			text = policy.ActKillProcess.String()
		}
		action, err := policy.ParseAction(text)
		if err == nil {
			err = policy.CheckAnswer(action)
		}
		if err != nil {
			return usageError{fmt.Errorf("--%s: %w", x.flag, err)}
		}
		s.AddEdit(policy.Edit{At: time.Now(), Op: x.op, Phase: ph, Action: action})
	}
	return nil
}
