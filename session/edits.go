package session

import (
	"slices"

	"speaker/policy"
)

// AddEdit appends an edit of the policy. What was undone before it can no longer
// be redone.
func (s *Session) AddEdit(e policy.Edit) {
	s.change(func() { s.edit(editAdd, e) })
}

// UndoEdit takes the last edit back, and reports whether there was one.
func (s *Session) UndoEdit() (ok bool) {
	s.change(func() { ok = s.edit(editUndo, policy.Edit{}) })
	return ok
}

// RedoEdit brings back what was last undone, and reports whether there was any.
func (s *Session) RedoEdit() (ok bool) {
	s.change(func() { ok = s.edit(editRedo, policy.Edit{}) })
	return ok
}

// Edits returns the edits that stand, oldest first.
func (s *Session) Edits() []policy.Edit {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.edits)
}

// Undone tells how many edits RedoEdit can bring back.
func (s *Session) Undone() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.undone)
}

// edit takes one step in the history of edits, in memory and on disk, where the
// whole history is kept, so that undo and redo outlive a reopening.
func (s *Session) edit(step editStep, e policy.Edit) bool {
	switch step {
	case editAdd:
		if len(s.edits) >= maxEdits {
			return false
		}
		e = clipEdit(e)
		s.edits, s.undone = append(s.edits, e), nil
	case editUndo:
		n := len(s.edits)
		if n == 0 {
			return false
		}
		s.edits, s.undone = s.edits[:n-1], append(s.undone, s.edits[n-1])
	case editRedo:
		n := len(s.undone)
		if n == 0 {
			return false
		}
		s.edits, s.undone = append(s.edits, s.undone[n-1]), s.undone[:n-1]
	default:
		return false
	}
	s.put(editFrame(step, e))
	return true
}
