package proc

import "fmt"

// All lists the processes of this host, in its pid namespace, ascending.
func All() []int { return numbers("/proc", maxThreads) }

// Began is when a process was started, in clock ticks since the host's boot, and
// its parent; ok is false when it is gone.
func Began(pid int) (ticks uint64, parent int, ok bool) {
	s, err := statOf(pid)
	return s.began, s.ppid, err == nil
}

// Runs reports whether anything of a process runs: a zombie does not, unless it is
// but the first thread that has ended.
func Runs(pid int) bool {
	s, err := statOf(pid)
	return err == nil && !s.ended()
}

// LastCap is the highest capability that this kernel knows.
func LastCap() int {
	var n int
	if b, err := readSome("/proc/sys/kernel/cap_last_cap", smallFile); err == nil {
		fmt.Sscan(string(b), &n)
	}
	return n
}
