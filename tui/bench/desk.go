package bench

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/session"
)

// desk is the half of a Work that needs no live target: the session, its
// decisions and its files.
type desk struct {
	sess   *session.Session
	writer *session.Writer // nil: not on disk
	path   string

	closed   atomic.Bool
	pmu      sync.Mutex
	problems []string
}

// byUser is who made a split that was set by hand.
const byUser = "user"

// keepProblems bounds what State shows of the past.
const keepProblems = 50

func newDesk(s *session.Session) *desk { return &desk{sess: s} }

// Session implements Work.
func (d *desk) Session() *session.Session { return d.sess }

func (d *desk) problem(text string) {
	d.pmu.Lock()
	defer d.pmu.Unlock()
	if n := len(d.problems); n > 0 && d.problems[n-1] == text {
		return
	}
	d.problems = append(d.problems, text)
	if len(d.problems) > keepProblems {
		d.problems = d.problems[1:]
	}
}

// state fills in what the session knows.
func (d *desk) state() State {
	d.pmu.Lock()
	problems := append([]string(nil), d.problems...)
	d.pmu.Unlock()
	s := State{Elapsed: d.sess.Length(), Rate: d.sess.Rate(), Lost: d.sess.Lost(), Recording: d.path,
		Applied: Nothing, Problems: problems}
	if d.writer != nil {
		if err := d.writer.Err(); err != nil {
			s.RecordErr = err.Error()
		}
	}
	return s
}

// open is ErrClosed once the file is closed: what is decided then would be
// nowhere.
func (d *desk) open() error {
	if d.closed.Load() {
		return ErrClosed
	}
	return nil
}

var errMerged = errors.New("a merged session has no time of its own: move the split in the recordings, and merge them again")

// merged reports whether the session was made of others.
func (d *desk) merged() bool { return d.sess.Length() == 0 && len(d.sess.Runs()) > 0 }

// SetSplit implements Work.
func (d *desk) SetSplit(at, stop time.Duration) error {
	if err := d.open(); err != nil {
		return err
	}
	if d.merged() {
		return errMerged
	}
	length := d.sess.Length()
	if at < 0 || at > length {
		return fmt.Errorf("split at %s lies outside the recording (0 to %s)", at, length)
	}
	if stop != 0 && (stop <= at || stop > length) {
		return fmt.Errorf("stop mark at %s must lie between the split and the end", stop)
	}
	if old, had := d.sess.Split(); had && old.At == at { // the stop mark alone moves
		old.Stop = stop
		d.sess.AddSplit(old)
		return nil
	}
	sp := session.Split{At: at, Stop: stop, How: "set by hand", By: byUser}
	if at := d.sess.Snap(at); stop == 0 || at < stop {
		sp.At = at
	}
	sp.Evidence = d.sess.Weigh(sp)
	d.sess.AddSplit(sp)
	return nil
}

// Pin implements Work.
func (d *desk) Pin(rule string) error {
	if err := d.open(); err != nil {
		return err
	}
	if d.merged() {
		return errMerged
	}
	r, err := session.ParseRule(rule)
	if err != nil {
		return err
	}
	d.sess.Pin(r, byUser)
	return nil
}

// keepPin has the rule that splits an earlier recording split this one.
func (d *desk) keepPin(old *session.Session) error {
	sp, _ := old.Split()
	if sp.Rule == "" {
		return nil
	}
	r, err := session.ParseRule(sp.Rule)
	if err != nil {
		return err
	}
	d.sess.Pin(r, sp.By)
	return nil
}

// UndoSplit implements Work.
func (d *desk) UndoSplit() error {
	if err := d.open(); err != nil {
		return err
	}
	if d.merged() {
		return errMerged
	}
	if !d.sess.UndoSplit() {
		return errors.New("no move of the split to undo")
	}
	return nil
}

// RedoSplit implements Work.
func (d *desk) RedoSplit() error {
	if err := d.open(); err != nil {
		return err
	}
	if !d.sess.RedoSplit() {
		return errors.New("no move of the split to redo")
	}
	return nil
}

// noSplit is ErrNoSplit, or what the split waits for.
func (d *desk) noSplit() error {
	if sp, _ := d.sess.Split(); sp.Waits {
		return errors.New("no split yet: " + sp.How)
	}
	return ErrNoSplit
}

// Accept implements Work.
func (d *desk) Accept() error {
	if err := d.open(); err != nil {
		return err
	}
	sp, ok := d.sess.Propose(d.sess.Length())
	if !ok {
		return fmt.Errorf("no split to propose: %s", sp.How)
	}
	if old, had := d.sess.Split(); had && old.Stop > sp.At && d.byHand(old) {
		sp.Stop = old.Stop
	}
	sp.By = "user, as proposed"
	d.sess.AddSplit(sp)
	return nil
}

// byHand reports whether the stop of a split was set by hand. Another one lies on
// a stop mark, and the proposal knows those.
func (d *desk) byHand(sp session.Split) bool {
	at, ok := d.sess.StopAfter(sp.Stop - 1)
	return sp.By == byUser || !ok || at != sp.Stop
}

// takeStop ends run at the stop mark that came after the split was made, and
// reports whether the split has a stop now.
func (d *desk) takeStop() bool {
	sp, ok := d.sess.Split()
	if !ok || sp.Stop != 0 {
		return ok
	}
	if sp.Stop, ok = d.sess.StopAfter(sp.At); ok {
		d.sess.AmendSplit(sp)
	}
	return ok
}

// Mark implements Work.
func (d *desk) Mark(text string) error {
	if err := d.open(); err != nil {
		return err
	}
	d.sess.AddMark(session.Mark{At: d.sess.Length(), Kind: session.MarkUser, Text: text})
	return nil
}

// Edit implements Work.
func (d *desk) Edit(e policy.Edit) error {
	if err := errors.Join(d.open(), e.Check()); err != nil {
		return err
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	d.sess.AddEdit(e)
	return nil
}

// ChangeAdmin implements Work.
func (d *desk) ChangeAdmin(c session.AdminChange) error {
	if err := d.open(); err != nil {
		return err
	}
	return d.sess.ChangeAdmin(c)
}

// UndoEdit implements Work.
func (d *desk) UndoEdit() error {
	if err := d.open(); err != nil {
		return err
	}
	if !d.sess.UndoEdit() {
		return errors.New("no edit to undo")
	}
	return nil
}

// RedoEdit implements Work.
func (d *desk) RedoEdit() error {
	if err := d.open(); err != nil {
		return err
	}
	if !d.sess.RedoEdit() {
		return errors.New("no edit to redo")
	}
	return nil
}

// Export implements Work.
func (d *desk) Export(path, format string, phase policy.Phase) (notes []string, err error) {
	p, err := d.decided()
	if err != nil {
		return nil, err
	}
	o := export.Options{Phase: phase, Runtime: true}
	err = export.ToFile(path, func(w io.Writer) (err error) {
		notes, err = export.Write(w, format, p, o)
		return err
	})
	return notes, err
}

// SaveAs implements Work.
func (d *desk) SaveAs(path string) error { return session.Save(path, d.sess) }

// tried notes on the session what was tried, and how it came out.
func (d *desk) tried(kind string, err error, text string) {
	if err != nil {
		text = err.Error()
		d.problem(kind + ": " + text)
	}
	d.sess.AddTrial(session.Trial{At: d.sess.Length(), Kind: kind, OK: err == nil, Text: text})
}

// close ends the session's file.
func (d *desk) close() error {
	d.closed.Store(true)
	if d.writer == nil {
		return nil
	}
	return d.writer.Close()
}
