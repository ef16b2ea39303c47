// Package injector is the process that stops other processes. It is a process
// of its own, `_inject`, because what it does should be hard to interrupt: it
// has its own session, ignores the signals of a terminal that goes away, keeps
// no state, and ends when its parent is gone, never in the middle of a process.
// One that catches who comes into a container lives as long as its hold does; those it
// follows run freely until their exec.
// Should it be killed all the same, what it works on recovers (see ptrace).
package injector
