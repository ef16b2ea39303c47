package proc

import "fmt"

// Tree lists a process and those of its descendants that live, in the host's
// pid namespace; none if it is gone. A descendant whose own parent ended first
// was given another parent: /proc no longer shows that it belongs here.
func Tree(root int) []int {
	children := map[int][]int{}
	alive := false
	for _, pid := range numbers("/proc", maxThreads) {
		b, err := readSome(fmt.Sprintf("/proc/%d/stat", pid), smallFile)
		if err != nil {
			continue
		}
		s, err := parseStat(b)
		if err != nil || s.ended() {
			continue
		}
		children[s.ppid] = append(children[s.ppid], pid)
		alive = alive || pid == root
	}
	if !alive {
		return nil
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
	return out
}

// ended reports a process of which nothing runs any more. A leader that ended
// before its threads is a zombie too, with more than one thread.
func (s stat) ended() bool {
	return s.state == 'X' || s.state == 'Z' && s.threads <= 1
}
