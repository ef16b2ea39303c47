package ptrace

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Process tells processes apart that had the same pid.
type Process struct {
	Pid   int
	Start uint64 // in the kernel's ticks
}

// Identify returns the process that has a pid now. ErrGone: nothing of it runs
// any more.
func Identify(pid int) (Process, error) {
	s, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	if s.ended() && s.threads <= 1 { // a zombie leader may have live threads
		return Process{}, fmt.Errorf("identify process %d: %w", pid, ErrGone)
	}
	return Process{pid, s.start}, nil
}

// Task is what /proc says of a thread.
type Task struct {
	Tid   int
	Start uint64
	Comm  string // hostile bytes
	State byte   // 0: it could not be read
}

// Tasks lists the threads of a process that are not dead, those that stop most
// easily first. A thread that /proc does not tell of is listed all the same:
// whoever stops it finds out why.
func Tasks(pid int) ([]Task, error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	names, err := os.ReadDir(dir)
	switch {
	case vanished(err):
		return nil, ErrGone
	case err != nil:
		return nil, fmt.Errorf("list threads of process %d: %w", pid, err)
	}
	var out []Task
	for _, n := range names {
		tid, err := strconv.Atoi(n.Name())
		if err != nil {
			continue
		}
		s, err := readStat(fmt.Sprintf("%s/%d/stat", dir, tid))
		if errors.Is(err, ErrGone) || s.ended() {
			continue
		}
		out = append(out, Task{Tid: tid, Start: s.start, Comm: s.comm, State: s.state})
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

// stat is what is used of /proc/PID/stat. Unlike status, no process can make it
// grow: a line of status may hold 700 KiB of groups.
type stat struct {
	comm    string
	state   byte
	threads int
	start   uint64
}

// ended says that a thread runs no more.
func (s stat) ended() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(path string) (stat, error) {
	b, err := os.ReadFile(path)
	switch {
	case vanished(err):
		return stat{}, ErrGone
	case err != nil:
		return stat{}, err
	}
	return parseStat(string(b))
}

// parseStat takes the name, in parentheses, which may hold anything, and the
// fields that count from behind it.
func parseStat(s string) (stat, error) {
	open, shut := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 0 || shut < open {
		return stat{}, errors.New("parse stat: no name in brackets")
	}
	f := strings.Fields(s[shut+1:])
	if len(f) < 20 || len(f[0]) != 1 {
		return stat{}, errors.New("parse stat: too few fields")
	}
	threads, err := strconv.Atoi(f[17])
	start, startErr := strconv.ParseUint(f[19], 10, 64)
	if err := cmp.Or(err, startErr); err != nil {
		return stat{}, fmt.Errorf("parse stat: %w", err)
	}
	return stat{comm: s[open+1 : shut], state: f[0][0], threads: threads, start: start}, nil
}

// tracerOf reads which process traces a thread; 0: none.
func tracerOf(tid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	switch {
	case vanished(err):
		return 0, ErrGone
	case err != nil:
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "TracerPid:"); ok {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, errors.New("status names no tracer")
}

// vanished reports that what was looked at in /proc is gone.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}
