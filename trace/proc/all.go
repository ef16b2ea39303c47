package proc

import "fmt"

// All lists the processes of this host, in its pid namespace, ascending.
func All() []int { return numbers("/proc", maxThreads) }

// Began is when a process was started, in clock ticks since the host's boot, and
// its parent; ok is false when it is gone.
func Began(pid int) (ticks uint64, parent int, ok bool) {
	b, err := readSome(fmt.Sprintf("/proc/%d/stat", pid), smallFile)
	if err != nil {
		return 0, 0, false
	}
	s, err := parseStat(b)
	return s.began, s.ppid, err == nil
}

// LastCap is the highest capability that this kernel knows.
func LastCap() int {
	var n int
	if b, err := readSome("/proc/sys/kernel/cap_last_cap", smallFile); err == nil {
		fmt.Sscan(string(b), &n)
	}
	return n
}
