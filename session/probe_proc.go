package session

import (
	"slices"

	"speaker/policy"
	"speaker/trace/proc"
)

// Proc is the Probe that reads /proc. For processes of other users it needs
// what proc.Supported names; without it nothing is seen to sleep.
type Proc struct{}

// InFlight returns the calls that threads of pids are asleep in, each once.
func (Proc) InFlight(pids []int) []policy.Call {
	out := []policy.Call{}
	seen := map[policy.Call]bool{}
	for _, t := range proc.Threads(pids) {
		c := policy.Call{ABI: policy.ABI(t.ABI), Nr: uint32(t.Nr)}
		if t.Nr >= 0 && !seen[c] {
			seen[c] = true
			out = append(out, c)
		}
	}
	return out
}

// ListenWaits returns the threads of pids that are asleep on a listening socket.
func (Proc) ListenWaits(pids []int) []ListenWait {
	var out []ListenWait
	for _, w := range proc.ListenWaits(pids) {
		out = append(out, ListenWait{
			Pid: uint32(w.Pid), Comm: w.Comm,
			Call: policy.Call{ABI: policy.ABI(w.ABI), Nr: w.Nr}, Addr: w.Addr,
		})
	}
	return out
}

// Frozen reports whether a process is frozen, false if that cannot be seen.
func (Proc) Frozen(pid int) bool {
	frozen, _ := proc.Frozen(pid)
	return frozen
}

// First returns the process of pids whose parent is none of them, 0 when there
// is not exactly one: of processes that came side by side none is the first.
func (Proc) First(pids []int) uint32 {
	var first uint32
	for _, pid := range pids {
		i, err := proc.Read(pid)
		if err != nil || slices.Contains(pids, i.PPid) {
			continue
		}
		if first != 0 {
			return 0
		}
		first = uint32(pid)
	}
	return first
}
