// Package proc reads what /proc tells of a target's processes: which call each
// thread sleeps in, which threads wait on a listening socket, and the facts that
// decide whether a filter can be applied.
//
// Everything read is a moment's picture of something that moves, and much of it
// (names, command lines) is chosen by the target: hostile bytes. A process that
// vanishes while it is read is left out, never an error of a whole list.
package proc
