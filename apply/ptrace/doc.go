// Package ptrace makes a thread of another process run a few system calls of
// our choosing, and puts seccomp filters into running processes that way.
//
// All functions must be called from one locked OS thread: ptrace belongs to
// the thread that seized. The calling process must not be the parent of what it
// stops: a wait for that child, anywhere in it, would take the stops' reports.
// Needs CAP_SYS_PTRACE and CAP_SYS_ADMIN (filters of
// others are read, and suspended for one verified call), Linux 5.11, x86-64.
//
// # The tracee outlives its tracer
//
// Whatever a stopped thread is made to run lies in a small piece of code (see
// slot) in the unused tail of its vdso. The code ends by loading the thread's
// own registers and jumping to where it was. The tracer normally takes the
// thread back right after each call and restores the registers itself, exactly;
// but when the tracer is killed at any step, the thread finishes the one call
// it was given and returns to its work by itself. What such a death may leave
// behind: one anonymous mapping, the bytes in the vdso's padding, and
// no_new_privs. Known limits: a signal that arrives within that one call may
// then let pause(2) and its like sleep on, and a filter already there that
// kills on close(2) would do so.
package ptrace
