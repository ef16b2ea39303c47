package keeper

import (
	"errors"
	"fmt"
	"time"
)

// MaxWithin is the longest that a denial may wait to be kept.
const MaxWithin = 24 * time.Hour

// ErrNothingToKeep is the answer to who keeps what nobody would undo.
var ErrNothingToKeep = errors.New("nothing waits to be kept: it was kept already, was undone, or was for good from the beginning")

// cross denies removed calls, or asks about them, until within is over, or for good if somebody keeps
// that by then. The keeper alone watches the time: whoever asked for it may be gone.
func (h *hold) cross(m Mode, within time.Duration) error {
	if within < 0 || within > MaxWithin {
		return fmt.Errorf("for %s: a time is longer than nothing, and at most %s", within, MaxWithin)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enter(m, "")
	if within == 0 || h.mode != m {
		return nil
	}
	h.until = time.Now().Add(within)
	turn := h.turn
	time.AfterFunc(within, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.turn == turn {
			h.enter(Allow, fmt.Sprintf("nobody kept it within %s", within))
		}
	})
	return nil
}

// keep stops the time.
func (h *hold) keep() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until.IsZero() {
		return ErrNothingToKeep
	}
	h.turn++
	h.until = time.Time{}
	h.log.note(h.mode, "kept")
	return nil
}
