package session

import (
	"speaker/policy"
)

// decision is one step that the user took and may undo: an edit of the policy,
// or a change of the intervals of administration.
type decision struct {
	edit  policy.Edit
	admin AdminChange // no Op: it is an edit
}

func (d decision) isAdmin() bool { return d.admin.Op != "" }

// frame is the step as it goes to the file.
func (d decision) frame(step editStep) frame {
	if d.isAdmin() {
		return adminFrame(step, d.admin)
	}
	return editFrame(step, d.edit)
}

// AddEdit appends an edit of the policy. What was undone before it can no longer
// be redone.
func (s *Session) AddEdit(e policy.Edit) {
	s.change(func() { s.step(editAdd, decision{edit: e}) })
}

// UndoEdit takes the last edit, or change of administration, back, and reports
// whether there was one.
func (s *Session) UndoEdit() (ok bool) {
	s.change(func() { ok = s.step(editUndo, decision{}) })
	return ok
}

// RedoEdit brings back what was last undone, and reports whether there was any.
func (s *Session) RedoEdit() (ok bool) {
	s.change(func() { ok = s.step(editRedo, decision{}) })
	return ok
}

// Edits returns the edits that stand, oldest first.
func (s *Session) Edits() []policy.Edit {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.standing()
}

// standing are the edits of the policy that stand.
func (s *Session) standing() []policy.Edit {
	out := make([]policy.Edit, 0, len(s.edits))
	for _, d := range s.edits {
		if !d.isAdmin() {
			out = append(out, d.edit)
		}
	}
	return out
}

// Undone tells how many edits RedoEdit can bring back.
func (s *Session) Undone() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.undone)
}

// step takes one step in the history of decisions, in memory and on disk, where
// the whole history is kept, so that undo and redo outlive a reopening.
func (s *Session) step(step editStep, d decision) bool {
	if s.adminSteps >= maxAdminSteps && (d.isAdmin() || s.next(step).isAdmin()) {
		return false
	}
	switch step {
	case editAdd:
		if len(s.edits) >= maxEdits {
			return false
		}
		d.edit = clipEdit(d.edit)
		s.edits, s.undone = append(s.edits, d), nil
	case editUndo:
		n := len(s.edits)
		if n == 0 {
			return false
		}
		d = s.edits[n-1]
		s.edits, s.undone = s.edits[:n-1], append(s.undone, d)
	case editRedo:
		n := len(s.undone)
		if n == 0 {
			return false
		}
		d = s.undone[n-1]
		s.edits, s.undone = append(s.edits, d), s.undone[:n-1]
	default:
		return false
	}
	if d.isAdmin() {
		s.adminSteps++
		s.applyAdmin()
	}
	s.put(d.frame(step))
	return true
}

// next is the decision that undo takes back, or redo brings back.
func (s *Session) next(step editStep) decision {
	list := map[editStep][]decision{editUndo: s.edits, editRedo: s.undone}[step]
	if len(list) == 0 {
		return decision{}
	}
	return list[len(list)-1]
}
