package session

import (
	"fmt"
	"slices"

	"speaker/trace"
)

// AddSplit makes sp the current split. The earlier ones are kept, for UndoSplit;
// what was undone before can no longer be redone.
func (s *Session) AddSplit(sp Split) {
	s.change(func() { s.stepSplit(splitAdd, sp) })
}

// AmendSplit changes the current split into sp, as no step of its own: undoing
// takes back both. Without a current split it does nothing.
func (s *Session) AmendSplit(sp Split) {
	s.change(func() { s.stepSplit(splitAmend, sp) })
}

// UndoSplit goes back to the split before the current one, or to none, and
// reports whether there was anything to undo.
func (s *Session) UndoSplit() (ok bool) {
	s.change(func() { ok = s.stepSplit(splitUndo, Split{}) })
	return ok
}

// RedoSplit brings back the split that was last undone, and reports whether
// there was any.
func (s *Session) RedoSplit() (ok bool) {
	s.change(func() { ok = s.stepSplit(splitRedo, Split{}) })
	return ok
}

// Pin makes a split that a rule places the current one. As long as what the rule
// waits for has not happened, the split waits.
func (s *Session) Pin(r Rule, by string) {
	s.change(func() {
		sp, _ := s.place(r)
		sp.By = by
		s.stepSplit(splitAdd, sp)
	})
}

// Splits returns the splits that were current one after the other, oldest first,
// without those that were undone.
func (s *Session) Splits() []Split {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := slices.Clone(s.splits)
	for i := range out {
		out[i].Evidence = slices.Clone(out[i].Evidence)
	}
	return out
}

// Split returns the current split, and whether there is one. One that waits for
// what its rule says is returned, and is none yet.
func (s *Session) Split() (Split, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := s.split(0)
	sp.Evidence = slices.Clone(sp.Evidence)
	return sp, len(s.splits) > 0 && !sp.Waits
}

// UndoneSplits tells how many splits RedoSplit can bring back.
func (s *Session) UndoneSplits() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.unsplit)
}

// split returns the split that is current after n more are undone; the zero one
// if there is none.
func (s *Session) split(n int) Split {
	if n >= len(s.splits) {
		return Split{}
	}
	return s.splits[len(s.splits)-1-n]
}

// stepSplit takes one step in the history of splits, in memory and on disk, where
// the whole history is kept, so that undo and redo outlive a reopening.
func (s *Session) stepSplit(step splitStep, sp Split) bool {
	n, undone := len(s.splits), len(s.unsplit)
	switch {
	case step == splitAdd:
		if n >= maxSplits {
			s.splits = slices.Delete(s.splits, 0, maxSplits/2)
		}
		s.splits, s.unsplit = append(s.splits, sp.clipped()), nil
	case step == splitAmend && n > 0:
		s.splits[n-1] = sp.clipped()
	case step == splitUndo && n > 0:
		s.splits, s.unsplit = s.splits[:n-1], append(s.unsplit, s.splits[n-1])
	case step == splitRedo && undone > 0:
		s.splits, s.unsplit = append(s.splits, s.unsplit[undone-1]), s.unsplit[:undone-1]
	default:
		return false
	}
	s.put(splitFrame(step, s.split(0)))
	s.resolve()
	return true
}

// resolve places the current split if it waits and what its rule waits for has
// happened, and keeps what it says of that. A file tells itself when that was.
func (s *Session) resolve() {
	old := s.split(0)
	if s.loading || !old.Waits {
		return
	}
	r, err := ParseRule(old.Rule)
	if err != nil {
		return // of a newer version: it stays unplaced
	}
	if sp, ok := s.place(r); ok || sp.How != old.How {
		sp.By = old.By
		s.stepSplit(splitAmend, sp)
	}
}

// Place returns the split that a rule places on this recording, and whether what
// it waits for has happened. If not, How says what is missing.
func (s *Session) Place(r Rule) (Split, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.place(r)
}

func (s *Session) place(r Rule) (Split, bool) {
	sp := Split{Rule: r.String(), Waits: true}
	at, what, ok := s.happened(r)
	if !ok {
		sp.How = fmt.Sprintf("pinned: it waits for %v", r)
		return sp, false
	}
	// What lies behind a split moves it, by two ticks at most, see Snap.
	if at += r.Delay; at+2*trace.Tick > s.table.length() {
		sp.How = fmt.Sprintf("pinned: %v is at %s, which the recording has not come to", r, seconds(at))
		return sp, false
	}
	sp.At, sp.Waits, sp.How = s.snap(at), false, fmt.Sprintf("pinned to %v", r)
	if what != "" {
		sp.How += ": " + what
	}
	sp.Stop, _ = s.stopAfter(sp.At)
	sp.Evidence = s.weigh(sp)
	return sp, true
}

// Weigh lists what the recording has for and against a split at sp, wherever it
// came from.
func (s *Session) Weigh(sp Split) []Evidence {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.weigh(sp)
}

func (s *Session) weigh(sp Split) []Evidence {
	f := s.facts(never)
	here := Opinion{Found: true, At: sp.At}
	var out []Evidence
	for _, o := range f.opinions() {
		if e, _ := here.compare(o); o.Found && e.Text != "" {
			out = append(out, e)
		}
	}
	out = append(out, f.supporting(sp.At, 0)...)
	return append(out, f.against(sp)...)
}
