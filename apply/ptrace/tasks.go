package ptrace

import (
	"bufio"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Task is what /proc says of a thread.
type Task struct {
	Tid     int
	Comm    string // hostile bytes
	State   byte
	Filters int
	Tracer  int
}

// Tasks lists the threads of a process that are not dead, those that stop
// most easily first.
func Tasks(pid int) ([]Task, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "task")
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, ErrGone
	}
	var out []Task
	for _, n := range names {
		tid, err := strconv.Atoi(n.Name())
		if err != nil {
			continue
		}
		t, err := readTask(filepath.Join(dir, n.Name(), "status"))
		if err != nil || t.State == 'Z' || t.State == 'X' {
			continue
		}
		t.Tid = tid
		out = append(out, t)
	}
	slices.SortStableFunc(out, func(a, b Task) int { return cmp.Compare(a.reluctance(), b.reluctance()) })
	return out, nil
}

// reluctance orders threads by how hard they are to stop. Kernel workers of
// io_uring look like threads but never run user code; a name may lie, so they
// come last and are not left out.
func (t Task) reluctance() int {
	switch {
	case strings.HasPrefix(t.Comm, "iou-"):
		return 3
	case t.State == 'D':
		return 2
	case t.State == 'R':
		return 1
	}
	return 0
}

func readTask(path string) (Task, error) {
	f, err := os.Open(path)
	if err != nil {
		return Task{}, err
	}
	defer f.Close()
	var t Task
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		key, value, _ := strings.Cut(sc.Text(), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			t.Comm = value
		case "State":
			if value != "" {
				t.State = value[0]
			}
		case "TracerPid":
			t.Tracer, _ = strconv.Atoi(value)
		case "Seccomp_filters":
			t.Filters, _ = strconv.Atoi(value)
		}
	}
	return t, sc.Err()
}
