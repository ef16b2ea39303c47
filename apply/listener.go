package apply

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace/proc"
)

// lookListener looks for filters that ask a supervisor, and for processes of the target
// that are one. Of a hold whose keeper was killed nobody listens any more: a new one takes
// its place.
func lookListener(s *subject) []find {
	out := s.those(Block, func(i proc.Info) string {
		fds, err := proc.Listeners(i.Pid)
		return seen("holds a listener, and answers for another filter", len(fds) > 0, err)
	})
	if s.unheld {
		return out // the check that found so refuses
	}
	d, err := s.dump()
	if err != nil {
		return append(out, find{level: Block, found: err.Error(), remedy: "try again"})
	}
	former := formerFilters()
	for _, t := range d.Threads {
		for _, i := range d.Chains[t.Chain] {
			f := d.Filters[i]
			if !asks(f) {
				continue
			}
			if slices.ContainsFunc(former, func(x []unix.SockFilter) bool { return slices.Equal(x, f) }) {
				return append(out, find{level: Note, found: "a hold of speaker's from before", remedy: "none needed: should its keeper be gone, the new one is heard in its place"})
			}
			return append(out, find{level: Block, found: fmt.Sprintf("process %d (%q) has a filter that asks one", t.Pid, t.Comm)})
		}
	}
	return out
}

// asks says whether a filter can answer that a supervisor is to be asked.
func asks(f []unix.SockFilter) bool {
	return slices.ContainsFunc(f, func(i unix.SockFilter) bool {
		return i.Code == unix.BPF_RET|unix.BPF_K && policy.Action(i.K).Kind() == policy.ActNotify || i.Code == unix.BPF_RET|unix.BPF_A
	})
}

// formerFilters are those of the holds whose keepers were killed, and of those in place,
// which may lack in some processes.
func formerFilters() (out [][]unix.SockFilter) {
	holds, err := FindHolds()
	if err != nil {
		return nil
	}
	for _, h := range holds {
		if h.Sealed() {
			continue
		}
		if spec, _, err := h.Specs(); err == nil {
			if f, err := policy.Compile(spec); err == nil {
				out = append(out, f.Insns)
			}
		}
	}
	return out
}
