package main

import (
	"fmt"
	"strings"

	"speaker/session"
)

// ruleHelp explains the rules of --split.
var ruleHelp = `A rule for --split is a time (2.5s), or an event of the recording, with a delay if
you like. Words behind the event pick one by its text or process:

  "ready 80"                  a readiness probe of port 80 was answered
  "2s after listen-wait"      two seconds after a thread waited on its socket
  "2nd exec nginx"            the second exec of nginx
  "call accept4"              the first use of a call

The events are ` + strings.Join(session.RuleEvents(), ", ") + `.`

// splitRule reads the rule of --split; nil for none.
func splitRule(text string) (*session.Rule, error) {
	if text == "" {
		return nil, nil
	}
	r, err := session.ParseRule(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("--split: %w", err)}
	}
	return &r, nil
}

// splitBy puts the split of a saved session where a rule says, for as long as it
// is open; "" leaves it.
func splitBy(s *session.Session, text string) error {
	r, err := splitRule(text)
	if r == nil {
		return err
	}
	if sp, ok := s.Place(*r); !ok {
		return fmt.Errorf("--split: %s", sp.How)
	}
	s.Pin(*r, "user")
	return nil
}
