package bench

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"syscall"
	"time"

	"speaker/apply"
	"speaker/session"
)

// fileWork is the Work on a saved session: everything but the live target.
type fileWork struct {
	*desk
	// opened is the session's generation when it was opened, or last saved.
	opened atomic.Uint64
}

// OpenFile opens a saved session; it needs no privilege. Decisions go on into
// the file, unless it is read-only or cannot be written: then they stay in
// memory until saved as another file, and State says so.
func OpenFile(path string, readOnly bool) (Work, error) {
	var (
		sess   *session.Session
		writer *session.Writer
		damage session.Damage
		err    error
	)
	if !readOnly {
		sess, writer, damage, err = session.OpenAppend(path)
	}
	fixed := readOnly || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
	if fixed {
		sess, damage, err = session.Open(path)
	}
	if err != nil {
		return nil, err
	}
	w := &fileWork{desk: newDesk(sess)}
	w.opened.Store(sess.Generation())
	w.path, w.writer = path, writer
	if s := damage.String(); s != "" {
		w.problem(s)
	}
	if fixed {
		w.problem("the file cannot be changed: edits stay in memory until you save them as another file (s)")
	}
	return w, nil
}

// State implements Work.
func (w *fileWork) State() State {
	s := w.desk.state()
	s.Mode = File
	m := w.sess.Meta()
	s.Item = Item{Ref: w.path, Engine: m.Target.Engine, ID: m.Target.ID, Name: m.Target.Name, Image: m.Target.Image, Command: m.Target.Command, State: "saved", Created: m.Start}
	s.Ended = true
	s.Unsaved = w.writer == nil && w.sess.Generation() != w.opened.Load()
	return s
}

// SaveAs implements Work.
func (w *fileWork) SaveAs(path string) error {
	at := w.sess.Generation()
	err := w.desk.SaveAs(path)
	if err == nil {
		w.opened.Store(at)
	}
	return err
}

func (w *fileWork) DryRun(bool) error { return ErrFile }

func (w *fileWork) Ready([]string) error { return ErrFile }

func (w *fileWork) WatchProcesses(bool) error { return ErrFile }

func (w *fileWork) Preflight(context.Context, apply.Mode) []apply.Check {
	return []apply.Check{{ID: "live", Title: "a live target", Found: "none", Why: "this is a saved session",
		Remedy: "watch the container itself", Level: apply.Block}}
}

func (w *fileWork) Hold(context.Context, bool) (Work, error)          { return nil, ErrFile }
func (w *fileWork) CrossSplit(time.Duration) error                    { return ErrFile }
func (w *fileWork) KeepHold() error                                   { return ErrFile }
func (w *fileWork) AskSplit(time.Duration, apply.Asking) error        { return ErrFile }
func (w *fileWork) Rule(apply.Rule, bool) error                       { return ErrFile }
func (w *fileWork) Answer(apply.Question, apply.Verdict, int32) error { return ErrFile }
func (w *fileWork) Guard(bool) error                                  { return ErrFile }
func (w *fileWork) Late(apply.LateChoice) error                       { return ErrFile }
func (w *fileWork) UndoHold() error                                   { return ErrFile }
func (w *fileWork) Seal(context.Context) (apply.Proof, error)         { return apply.Proof{}, ErrFile }
func (w *fileWork) Prove(context.Context) (apply.Proof, error)        { return apply.Proof{}, ErrFile }
func (w *fileWork) Reload() (string, error)                           { return "", ErrFile }
func (w *fileWork) WatchAgain(context.Context) (Work, error)          { return nil, ErrFile }
func (w *fileWork) Reboot(context.Context) (Work, error)              { return nil, ErrFile }
func (w *fileWork) Inject(context.Context) (apply.Report, apply.Proof, error) {
	return apply.Report{}, apply.Proof{}, ErrFile
}

// Close implements Work.
func (w *fileWork) Close() error { return w.desk.close() }

// HoldRunning implements Work.
func (w *fileWork) HoldRunning(context.Context) (apply.Report, apply.Proof, error) {
	return apply.Report{}, apply.Proof{}, ErrFile
}
