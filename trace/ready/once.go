package ready

import (
	"context"
	"errors"
	"fmt"
)

// ErrUnknown is that an asking came to nothing: neither that it is ready, nor that it
// is not.
var ErrUnknown = errors.New("it could not be asked")

// oncer is an asker that has an answer at any time.
type oncer interface {
	once(ctx context.Context, t Target) error
}

// Askable reports whether Once has an answer: what is listened to tells of the start
// alone.
func (p Probe) Askable() bool {
	_, ok := p.by.(oncer)
	return ok
}

// Once asks a single time, for two seconds at most, and returns nil when the target is
// ready now. ErrUnknown and ErrUnsupported say nothing of the target, all other errors
// that it is not.
func (p Probe) Once(ctx context.Context, t Target) error {
	by, ok := p.by.(oncer)
	if !ok {
		return fmt.Errorf("%s: %w: it tells of the start alone", p.Name, ErrUnsupported)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return by.once(ctx, t)
}

func (p tcp) once(ctx context.Context, t Target) error {
	_, err := p.connect(ctx, t.Pid())
	return err
}

func (p web) once(ctx context.Context, t Target) error {
	_, err := p.get(ctx, t.Pid())
	return err
}

func (p command) once(ctx context.Context, t Target) error {
	_, err := p.run(ctx, t.Pid())
	return err
}

func (p health) once(ctx context.Context, t Target) error {
	d, err := engine(t)
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = p.status(ctx, d, t)
	if errors.Is(err, errStarting) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}
