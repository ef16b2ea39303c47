package ready

import (
	"context"
	"errors"
	"fmt"
	"time"

	"speaker/trace/target"
)

// health asks a container's engine how its own health check came out.
type health struct{}

func (p health) ask(ctx context.Context, t Target, tell func(Answer)) error {
	d, err := engine(t)
	if err != nil {
		return err
	}
	defer d.Close()
	return poll(ctx, t, tell, func(ctx context.Context, _ int) (Answer, error) { return p.status(ctx, d, t) })
}

var errStarting = errors.New("the health check says starting")

func (health) status(ctx context.Context, d *target.Docker, t Target) (Answer, error) {
	h, err := d.Health(ctx, t.Found().ID)
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	case h.Status == "":
		return Answer{}, fmt.Errorf("%w: the container has no health check", ErrUnsupported)
	case h.Status == "unhealthy" && h.Failing == 0: // so Docker calls who is paused, till the next check
		return Answer{}, fmt.Errorf("%w: nothing was checked since it was paused or stopped", ErrUnknown)
	case h.Status == "starting":
		return Answer{}, errStarting
	case h.Status != "healthy":
		return Answer{}, errors.New("the health check says " + h.Status)
	}
	return Answer{At: h.Checked, Said: "is healthy"}, nil
}

// engine returns the engine that the target is of.
func engine(t Target) (*target.Docker, error) {
	d, err := t.Engine()
	if err != nil {
		return nil, fmt.Errorf("%w: only Docker's and Podman's containers have it, and a log commands with --output FILE (%w)", ErrUnsupported, err)
	}
	return d, nil
}

// log listens for a line of a container's log, as its engine keeps it.
type log struct {
	text string
}

func (p log) ask(ctx context.Context, t Target, tell func(Answer)) error {
	d, err := engine(t)
	if err != nil {
		return err
	}
	defer d.Close()
	m := &matcher{text: p.text, tell: tell}
	for t.Pid() == 0 { // of a container that is about to start there may be no log
		select {
		case <-ctx.Done():
			return errors.New("the program was not seen to begin")
		case <-time.After(askFirst):
		}
	}
	err = d.Logs(ctx, t.Found().ID, t.Since, m.line)
	if err != nil && ctx.Err() == nil && m.told == 0 {
		return err
	}
	return m.err()
}

// maxTold is how many lines are answers: a program may write it with each request.
const maxTold = 10

// matcher tells of lines that hold a text.
type matcher struct {
	text string
	tell func(Answer)
	told int
}

func (m *matcher) line(at time.Time, line string) (more bool) {
	if contains(line, m.text) {
		m.told++
		m.tell(Answer{At: at, Said: "was written"})
	}
	return m.told < maxTold
}

func (m *matcher) err() error {
	if m.told == 0 {
		return errors.New("no line held it")
	}
	return nil
}
