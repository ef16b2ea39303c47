package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"speaker/apply/injector"
	"speaker/policy"
	"speaker/trace/proc"
)

// Level is how much a check's finding weighs.
type Level uint8

// The levels.
const (
	OK    Level = iota // nothing found
	Note               // worth knowing
	Warn               // may break something
	Block              // applying is refused
)

// String is "ok", "note", "warning" or "blocks".
func (l Level) String() string {
	if int(l) >= len(levels) {
		return fmt.Sprintf("level %d", uint8(l))
	}
	return levels[l]
}

var levels = [...]string{OK: "ok", Note: "note", Warn: "warning", Block: "blocks"}

// Mode is what is about to be applied.
type Mode uint8

// The modes.
const (
	ModeInject Mode = iota // a permanent filter into running processes
	ModeHold               // a two-phase filter at the start, reversible
	ModeSeal               // a permanent filter over a hold
	// ModeHoldRunning is a reversible filter into running processes.
	ModeHoldRunning
)

// Check is one thing that was looked at before an apply. Found may quote
// hostile bytes.
type Check struct {
	ID, Title, Found, Why, Remedy string // Why is empty where Found says it
	Level                         Level
}

// Blocked says whether any check refuses.
func Blocked(checks []Check) bool {
	return slices.ContainsFunc(checks, func(c Check) bool { return c.Level == Block })
}

// Refusal returns the checks that refuse as one error; nil when none does.
func Refusal(checks []Check) error {
	var why []string
	for _, c := range checks {
		if c.Level == Block {
			why = append(why, fmt.Sprintf("%s: %s (%s)", c.Title, c.Found, c.Remedy))
		}
	}
	if why == nil {
		return nil
	}
	return errors.New("not applied: " + strings.Join(why, "; "))
}

// subject is what the checks look at: one picture of the target.
type subject struct {
	mode    Mode
	policy  policy.Policy
	infos   []proc.Info
	threads []proc.Thread
	list    func() ([]int, error)         // the target's processes, anew
	dump    func() (injector.Dump, error) // every filter of every thread
	unheld  bool                          // a check found that threads cannot be stopped
}

// find is what a check answers: nothing found is the zero value.
type find struct {
	level  Level
	found  string
	remedy string // instead of the check's own
}

// check is a row of the list of checks.
type check struct {
	id, title, why, remedy string
	modes                  []Mode // nil: all
	holds                  bool   // what it blocks for keeps threads from being stopped
	look                   func(*subject) []find
}

// Preflight looks for what speaks against applying p, changes nothing, and
// answers every check that was made, also those that found nothing. For a running
// target each thread is stopped for a moment, as for a proof: what the filters
// already there answer, no other way tells. pids lists
// the target's processes, as host pids; for ModeHold none exists yet, and what
// pids answers is looked at if there is any.
func Preflight(pids func() ([]int, error), p policy.Policy, mode Mode) []Check {
	s := &subject{mode: mode, policy: p, list: pids, dump: sync.OnceValues(func() (injector.Dump, error) {
		ctx, cancel := context.WithTimeoutCause(context.Background(), foreseeWithin, errUnforeseen)
		defer cancel()
		d, err := injector.DumpAll(ctx, pids)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return d, err
	})}
	list, err := pids()
	if err != nil {
		return []Check{{ID: "pids", Title: "the target's processes", Found: err.Error(),
			Why: "they cannot be listed", Remedy: "see whether the target still runs", Level: Block}}
	}
	for _, pid := range list {
		if i, err := proc.Read(pid); err == nil {
			s.infos = append(s.infos, i)
		}
	}
	s.threads = proc.Threads(list)
	var out []Check
	for _, c := range checks {
		if c.modes != nil && !slices.Contains(c.modes, mode) {
			continue
		}
		found := c.run(s)
		s.unheld = s.unheld || c.holds && Blocked(found)
		out = append(out, found...)
	}
	return out
}

func (c check) run(s *subject) []Check {
	finds := c.look(s)
	if len(finds) == 0 {
		return []Check{{ID: c.id, Title: c.title, Level: OK}}
	}
	var out []Check
	for _, f := range finds {
		remedy := c.remedy
		if f.remedy != "" {
			remedy = f.remedy
		}
		out = append(out, Check{ID: c.id, Title: c.title, Found: f.found, Why: c.why, Remedy: remedy, Level: f.level})
	}
	return out
}
