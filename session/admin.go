package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"speaker/trace"
)

const (
	// maxAdmin bounds the intervals of one recording: every set is computed
	// between all of them.
	maxAdmin = 64
	// maxAdminSteps bounds the changes of intervals, undo and redo included.
	maxAdminSteps = 2000
)

// Admin is an interval of run that is administration: a reload, say. What the
// program calls in it is a phase of its own, policy.Admin.
type Admin struct {
	ID       int           // tells it from the others; 0 before it is added
	From, To time.Duration // the uses after From, up to and including To; To 0: it has not ended
	How      string        // how it was found, a sentence
	By       string        // "user", "user, as recognised"
}

// AdminOp is what a change does to the intervals of administration.
type AdminOp string

// The changes of intervals.
const (
	AdminAdd     AdminOp = "add"     // From, To, How and By of a new one
	AdminMove    AdminOp = "move"    // From and To of the one with this ID
	AdminRemove  AdminOp = "remove"  // the one with this ID
	AdminDismiss AdminOp = "dismiss" // what is recognised from From to To is none
)

// AdminChange is one change of the intervals of administration.
type AdminChange struct {
	Op AdminOp
	Admin
}

// ErrAdmin is the error of a change that cannot be made.
var ErrAdmin = errors.New("it cannot be")

// Admins returns the intervals of administration, in the order of time.
func (s *Session) Admins() []Admin {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.admins)
}

// OpenAdmin returns the interval that has begun and not ended.
func (s *Session) OpenAdmin() (Admin, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := slices.IndexFunc(s.admins, Admin.open)
	if i < 0 {
		return Admin{}, false
	}
	return s.admins[i], true
}

func (a Admin) open() bool { return a.To == 0 }

// end is the end of a, never for one that has not ended.
func (a Admin) end() time.Duration {
	if a.open() {
		return never
	}
	return a.To
}

// ChangeAdmin changes the intervals of administration; UndoEdit takes it back.
// Borders are put where the sets on both sides of them are exact: From a little
// earlier, To a little later. The error is ErrAdmin for a change that makes no
// sense, with the reason.
func (s *Session) ChangeAdmin(c AdminChange) (err error) {
	s.change(func() {
		c.Admin = c.Admin.clipped()
		if err = s.checkAdmin(c); err != nil {
			return
		}
		switch c.Op {
		case AdminAdd:
			c.ID = s.nextAdmin()
			c.From, c.To = s.snapBack(c.From), s.snapEnd(c.To)
		case AdminMove:
			c.From, c.To = s.snapBack(c.From), s.snapEnd(c.To)
		}
		if !s.step(editAdd, decision{admin: c}) {
			err = fmt.Errorf("%w: the list of edits is full", ErrAdmin)
		}
	})
	return err
}

// checkAdmin says why a change cannot be made to the intervals as they are.
func (s *Session) checkAdmin(c AdminChange) error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrAdmin, fmt.Sprintf(format, args...))
	}
	at := func(test func(Admin) bool) int { return slices.IndexFunc(s.admins, test) }
	known := at(func(a Admin) bool { return a.ID == c.ID }) >= 0
	switch c.Op {
	case AdminRemove:
		if !known {
			return no("number %d is not there", c.ID)
		}
		return nil
	case AdminMove:
		if !known {
			return no("number %d is not there", c.ID)
		}
	case AdminAdd:
		if len(s.admins) >= maxAdmin {
			return no("there are %d already, and no more can be", maxAdmin)
		}
	case AdminDismiss:
		if c.open() {
			return no("it has no end")
		}
	default:
		return no("unknown change %q", clip(string(c.Op), 40))
	}
	other := at(func(a Admin) bool { return a.open() && a.ID != c.ID })
	switch length := s.table.length(); {
	case c.From < 0 || c.From > length || c.To > length:
		return no("%s to %s lies outside the recording, which is %s long", seconds(c.From), seconds(c.To), seconds(length))
	case !c.open() && c.To <= c.From:
		return no("it ends at %s, and begins at %s", seconds(c.To), seconds(c.From))
	case c.open() && other >= 0:
		return no("the one that began at %s has not ended yet: end it first", seconds(s.admins[other].From))
	}
	return nil
}

// nextAdmin is a number that no interval has, nor had one that an undo may bring
// back.
func (s *Session) nextAdmin() int {
	most := 0
	for _, d := range slices.Concat(s.edits, s.undone) {
		most = max(most, d.admin.ID)
	}
	return most + 1
}

// applyAdmin makes the intervals, and what was dismissed, out of the changes that
// stand.
func (s *Session) applyAdmin() {
	s.admins, s.dismissed = nil, nil
	for _, d := range s.edits {
		c := d.admin
		i := slices.IndexFunc(s.admins, func(a Admin) bool { return a.ID == c.ID })
		switch {
		case c.Op == AdminAdd && i < 0 && len(s.admins) < maxAdmin:
			s.admins = append(s.admins, c.Admin)
		case c.Op == AdminMove && i >= 0:
			s.admins[i].From, s.admins[i].To = c.From, c.To
		case c.Op == AdminRemove && i >= 0:
			s.admins = slices.Delete(s.admins, i, i+1)
		case c.Op == AdminDismiss:
			s.dismissed = append(s.dismissed, stretch{c.From, c.To})
		}
	}
	slices.SortStableFunc(s.admins, func(a, b Admin) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.ID, b.ID)) })
}

// adminSpans returns the parts of run that are administration when the recording
// is cut at sp: boot and stop go before it.
func (s *Session) adminSpans(sp Split) []stretch {
	var out []stretch
	for _, a := range s.admins {
		x := stretch{max(a.From, sp.At), min(a.end(), sp.runEnd())}
		switch n := len(out); {
		case x.to <= x.from:
		case n > 0 && x.from <= out[n-1].to:
			out[n-1].to = max(out[n-1].to, x.to)
		default:
			out = append(out, x)
		}
	}
	return out
}

// snapEnd is snap for the end of an interval, which may be none.
func (s *Session) snapEnd(at time.Duration) time.Duration {
	if at == 0 {
		return 0
	}
	return min(s.snap(at), s.table.length())
}

// snapBack is snap the other way: the place at or just before at from which on
// the calls are known exactly. Where at lies in a tick in which some call was
// last used, that is the last end of a tick, or of an epoch, that is known to lie
// before it, but for one that lies further back than an epoch is long.
func (s *Session) snapBack(at time.Duration) time.Duration {
	t := &s.table
	next := s.snap(at)
	if next == at {
		return at
	}
	border := at - 100*time.Millisecond - 2*trace.Tick
	found := at
	note := func(x time.Duration) {
		if x <= at && x > border {
			border, found = x, x
		}
	}
	if i := t.after(at); i > 0 {
		note(t.ends[i-1])
	}
	for _, c := range t.order {
		for i := c.after(at-200*time.Millisecond, t.starts); i < len(c.cells); i++ {
			u := c.at(i, t.starts)
			if u.first > at+c.slack {
				break
			}
			if !u.single() {
				note(u.last)
			}
		}
	}
	if found == at { // in a long epoch: what was last used up to next was used after this
		return min(at, next-trace.Tick-1)
	}
	return found
}

type wireAdmin struct {
	Step editStep `cbor:"1,keyasint"`
	Op   string   `cbor:"2,keyasint,omitempty"`
	ID   int      `cbor:"3,keyasint,omitempty"`
	From int64    `cbor:"4,keyasint,omitempty"`
	To   int64    `cbor:"5,keyasint,omitempty"`
	How  string   `cbor:"6,keyasint,omitempty"`
	By   string   `cbor:"7,keyasint,omitempty"`
}

func adminFrame(step editStep, c AdminChange) frame {
	w := wireAdmin{Step: step}
	if step == editAdd {
		w = wireAdmin{step, string(c.Op), c.ID, int64(c.From), int64(c.To), c.How, c.By}
	}
	return newFrame(kindAdmin, w)
}

// change checks and unpacks w: it comes from a file.
func (w wireAdmin) change() (AdminChange, error) {
	c := AdminChange{AdminOp(w.Op), Admin{w.ID, time.Duration(w.From), time.Duration(w.To), w.How, w.By}.clipped()}
	switch {
	case w.Step != editAdd:
		return AdminChange{}, nil
	case !slices.Contains([]AdminOp{AdminAdd, AdminMove, AdminRemove, AdminDismiss}, c.Op),
		c.ID < 0 || c.ID > maxEdits || c.Op != AdminDismiss && c.ID == 0,
		!inRange(c.From) || !inRange(c.To), c.To != 0 && c.To <= c.From:
		return c, fmt.Errorf("%w: administration %+v", errFrame, w)
	}
	return c, nil
}
