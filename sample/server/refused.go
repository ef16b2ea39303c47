package server

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A callError is a system call that failed, by the name a filter knows it by.
type callError struct {
	call, object string
	err          error
}

func (e *callError) Error() string {
	if errors.Is(e.err, unix.EPERM) || errors.Is(e.err, unix.ENOSYS) {
		return fmt.Sprintf("%s was refused: %s (%v)", e.call, e.object, e.err)
	}
	return fmt.Sprintf("%s failed: %s (%v)", e.call, e.object, e.err)
}

func (e *callError) Unwrap() error { return e.err }

// tried returns nil for a call that succeeded, else its callError.
func tried(call, object string, err error) error {
	if err == nil {
		return nil
	}
	return &callError{call, object, err}
}
