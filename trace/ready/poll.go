package ready

import (
	"context"
	"fmt"
	"time"
)

// How often is asked: soon at first, for a program may boot in no time, and then
// ever less, so as not to be a burden.
const (
	askFirst = 100 * time.Millisecond
	askLast  = time.Second
	// askTime is how long one asking may take.
	askTime = 2 * time.Second
)

// poll asks, once the program has begun, until it is answered. Err is why it was
// not, the last time; an ErrUnsupported ends it.
func poll(ctx context.Context, t Target, tell func(Answer), ask func(ctx context.Context, pid int) (Answer, error)) error {
	var last error
	wait, first := askFirst, true
	for {
		if pid := t.Pid(); pid != 0 {
			once, cancel := context.WithTimeout(ctx, askTime)
			a, err := ask(once, pid)
			cancel()
			switch {
			case err == nil:
				a.First = first
				tell(a)
				return nil
			case unsupported(err):
				return err
			case ctx.Err() == nil || last == nil:
				last = err
			}
			wait, first = min(wait*5/4, askLast), false
		}
		select {
		case <-ctx.Done():
			if last == nil {
				return fmt.Errorf("the program was not seen to begin")
			}
			return last
		case <-time.After(wait):
		}
	}
}
