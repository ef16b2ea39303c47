package proc

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Tree lists a process and those of its descendants that live, in the host's
// pid namespace; none if it is gone. A descendant whose own parent ended first
// was given another parent: /proc no longer shows that it belongs here. An error
// means that the list would have a gap.
func Tree(root int) ([]int, error) {
	children := map[int][]int{}
	alive := false
	var gap error
	err := eachNumber("/proc", func(pid int) bool {
		s, err := statOf(pid)
		if vanished(err) || err == nil && s.ended() {
			return true
		}
		if err != nil {
			gap = err
			return false
		}
		children[s.ppid] = append(children[s.ppid], pid)
		alive = alive || pid == root
		return true
	})
	if err := cmp.Or(gap, err); err != nil {
		return nil, fmt.Errorf("list descendants of process %d: %w", root, err)
	}
	if !alive {
		return nil, nil
	}
	out := []int{root}
	seen := map[int]bool{root: true} // pids are reused while we read
	for i := 0; i < len(out); i++ {
		for _, c := range children[out[i]] {
			if !seen[c] {
				seen[c] = true
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func statOf(pid int) (stat, error) {
	b, err := readSome(fmt.Sprintf("/proc/%d/stat", pid), smallFile)
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// vanished reports that what was looked at in /proc is gone.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// ended reports a process of which nothing runs any more. A leader that ended
// before its threads is a zombie too, with more than one thread.
func (s stat) ended() bool {
	return s.state == 'X' || s.state == 'Z' && s.threads <= 1
}
