package injector

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace"
)

// Choice is what becomes of a process that comes into a target later than its program:
// docker exec's, and that of a probe.
type Choice string

// The choices.
const (
	Boot   Choice = "boot"   // a filter with a listener
	Run    Choice = "run"    // the run filter, without one
	Refuse Choice = "refuse" // its exec fails with EPERM
)

// Catching says who is caught, and what they get: the target's own program Start, with a
// listener, later ones what the choice is.
type Catching struct {
	Entries          trace.EntriesConfig
	Start            []unix.SockFilter
	LateBoot, Narrow []unix.SockFilter // of Boot and of Run
	Late             Choice
}

// Catch tells of a program that came into the target.
type Catch struct {
	Pid        int
	Comm       string // hostile bytes
	Late       bool
	Listener   bool // its filter has a listener, which comes with this
	Refused    bool
	Injected   bool // it has its filter, but since a moment after its exec, which Err tells
	Missed     bool // its program runs without our filter; else an error means that none was begun
	NoNewPrivs bool
	Stopped    time.Duration
	Err        string
}

// Catcher is a process that catches who comes into a target. It ends, and lets everybody
// it follows go on, when this one does.
type Catcher struct{ c *client }

// StartCatching returns when nobody who comes in from now on is missed.
func StartCatching(c Catching) (*Catcher, error) {
	x, err := start()
	if err != nil {
		return nil, err
	}
	var m message
	if err = x.enc.Encode(request{Op: opCatch, Catching: c}); err == nil {
		err = x.dec.Decode(&m)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("hear from catcher: %w", err)
	case !m.Ready:
		err = errors.New(m.Err)
	}
	if err != nil {
		x.close()
		return nil, err
	}
	return &Catcher{x}, nil
}

// Next waits for the next one, whose listener, if it has one, the caller closes. The
// error is io.EOF after Close; any other says that nobody is caught any more.
func (x *Catcher) Next() (Catch, *os.File, error) {
	var m message
	err := x.c.dec.Decode(&m)
	switch {
	case err != nil:
		return Catch{}, nil, io.EOF
	case m.Done:
		return Catch{}, nil, errors.New(m.Err)
	case m.Caught == nil:
		return Catch{}, nil, errors.New("the catcher says what is not understood")
	case !m.Caught.Listener:
		return *m.Caught, nil, nil
	}
	f, err := receive(x.c.pass)
	return *m.Caught, f, err
}

// Choose changes what becomes of those that come in from now on.
func (x *Catcher) Choose(late Choice) error {
	if err := x.c.enc.Encode(request{Late: late}); err != nil {
		return fmt.Errorf("tell catcher: %w", err)
	}
	return nil
}

// Close ends the process. Nobody is caught any more; what was put in place stays.
func (x *Catcher) Close() { x.c.close() }
