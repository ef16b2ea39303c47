package policy

import "golang.org/x/sys/unix"

// Spec says what one filter answers to every call: Allow and Notify are let
// through and handed to a supervisor; all else fails. A call that is in both is
// allowed.
//
// What fails, fails with Errno (0: EPERM), except what a program is sure to try
// and to do without when told that the kernel is too old for it: calls newer
// than Linux 5.0 (clone3, faccessat2, …) and every call of an ABI of which
// nothing is let through fail with ENOSYS.
type Spec struct {
	Allow, Notify Set
	Errno         uint16
}

// firstNew is the lowest number of the calls that came after Linux 5.0: from
// 424 on all ABIs count alike, and i386 got 393 to 423 at the same time.
func (a ABI) firstNew() uint32 {
	if a == I386 {
		return 393
	}
	return 424
}

// Want returns what the filter of s answers to c. It is the oracle that tests
// and proofs hold compiled and loaded filters against.
func (s Spec) Want(c Call) Action {
	switch {
	case s.Allow.Has(c):
		return ActAllow
	case s.Notify.Has(c):
		return ActNotify
	case c.Nr >= c.ABI.firstNew(), !s.speaks(c.ABI):
		return RefuseWith(unix.ENOSYS)
	}
	return s.denial()
}

// denial is the answer to a call that is neither allowed nor new.
func (s Spec) denial() Action {
	if s.Errno == 0 {
		return RefuseWith(unix.EPERM)
	}
	return RefuseWith(unix.Errno(s.Errno))
}

// speaks reports whether any call of the ABI is let through. The native one
// always counts.
func (s Spec) speaks(a ABI) bool {
	return a == Native() || s.Allow.Of(a).Len() > 0 || s.Notify.Of(a).Len() > 0
}
