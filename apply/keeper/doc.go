// Package keeper is the process that owns a hold's listeners: `_keeper`. It
// answers notified calls by policy, whoever looks on; screens come and go
// over its socket in /run/speaker (root only, peers checked). It ignores the
// signals of a terminal that goes away, and ends when it is told that the hold
// is sealed, or when its target has ended. Stopped, it has the kernel let it go on
// within two seconds.
//
// The keeper of a container has an injector catch who comes into it, and goes on to
// its next life: see late and keeping.
//
// When it is killed, the kernel answers ENOSYS to every notified call: the
// target is narrower then, never wider.
package keeper
