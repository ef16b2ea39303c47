// Package policy says what is allowed: system calls by name and ABI, what is known
// of each (what it is for, its kin, what leaving it open costs), sets of them, the
// two-phase policy that follows from a recording and from edits made by hand, and
// the seccomp filters it compiles to. It also runs such filters in user space, so
// that what the kernel will answer is known before it is asked.
//
// There are two ways in. Who knows what a program calls begins with Derive: it makes a
// Policy of what was Observed and of Edits, and that has a Spec for each filter (wide,
// narrow, and the start of both). Who has a filter in another tool's words begins with
// package export: a profile that is read there resolves to Rules. From then on it is
// the same: Compile and CompileRules make the program, VerifySpec and Verify prove it,
// and Spec.Answer and Rules.Want tell what any call with any arguments gets. Recover
// goes the other way, from a program to what it answers.
//
// Everything here is a pure value. Nothing needs a privilege or the kernel; compiling
// needs libseccomp, 2.5 or newer. What is exported does not change the values that it
// is given, and all of it may be used from several goroutines at once.
package policy
