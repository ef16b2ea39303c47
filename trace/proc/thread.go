package proc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"speaker/trace"
)

// maxThreads bounds a list of threads: a target can make as many as it likes.
const maxThreads = 100_000

// Thread is one thread as it stood when it was looked at. Comm is hostile bytes.
type Thread struct {
	Pid, Tid int // in the host's pid namespace
	State    byte
	Comm     string
	ABI      trace.ABI
	Nr       int32 // the call that it sleeps in; -1: none (it runs, or could not be asked)
	Args     [6]uint64
}

// Threads lists the threads of pids with the call that each sleeps in. What
// vanished meanwhile is left out. Reading the call needs what Supported names for
// processes of others; without it Nr is -1. A call interrupted by a stop shows
// as restart_syscall.
func Threads(pids []int) []Thread {
	var out []Thread
	for _, pid := range pids {
		abi := abiOf(pid)
		for _, tid := range numbers(fmt.Sprintf("/proc/%d/task", pid), maxThreads-len(out)) {
			if t, ok := readThread(pid, tid, abi); ok {
				out = append(out, t)
			}
		}
		if len(out) >= maxThreads {
			break
		}
	}
	return out
}

// dir is where /proc tells of the thread. A thread may have descriptors and a
// network namespace of its own, and a leader that ended has none.
func (t Thread) dir() string { return fmt.Sprintf("/proc/%d/task/%d/", t.Pid, t.Tid) }

func readThread(pid, tid int, abi trace.ABI) (Thread, bool) {
	t := Thread{Pid: pid, Tid: tid, ABI: abi, Nr: -1}
	b, err := readSome(t.dir()+"stat", smallFile)
	if err != nil {
		return Thread{}, false
	}
	s, err := parseStat(b)
	if err != nil || s.state == 'X' {
		return Thread{}, false
	}
	t.Comm, t.State = s.comm, s.state
	if b, err := readSome(t.dir()+"syscall", smallFile); err == nil {
		t.Nr, t.Args = parseSyscall(string(b))
	}
	if t.Nr >= 0 && t.Nr&x32Bit != 0 && native() == trace.X86_64 {
		t.ABI, t.Nr = trace.X32, t.Nr&^x32Bit
	}
	return t, true
}

// x32Bit marks the numbers of the x32 ABI.
const x32Bit = 1 << 30

// stat is what is used of /proc/PID/stat.
type stat struct {
	comm    string
	state   byte
	ppid    int
	flags   uint64 // the kernel's PF_*
	threads int
	began   uint64 // clock ticks since the host's boot
}

// The flags of tasks that run no program (include/linux/sched.h).
const (
	flagKernelThread = 0x00200000
	flagIOWorker     = 0x00000010
	flagUserWorker   = 0x00004000
)

// parseStat reads /proc/PID/stat. The comm stands between the first '(' and the
// last ')', whatever it holds.
func parseStat(b []byte) (stat, error) {
	open, shut := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || shut < open {
		return stat{}, errors.New("parse stat: no name in brackets")
	}
	// After it: state ppid pgrp session tty tpgid flags … (10 more) num_threads
	// itrealvalue starttime
	f := strings.Fields(string(b[shut+1:]))
	if len(f) < 18 || len(f[0]) != 1 {
		return stat{}, errors.New("parse stat: too few fields")
	}
	s := stat{comm: string(b[open+1 : shut]), state: f[0][0]}
	s.ppid, _ = strconv.Atoi(f[1])
	s.flags, _ = strconv.ParseUint(f[6], 10, 64)
	s.threads, _ = strconv.Atoi(f[17])
	if len(f) > 19 {
		s.began, _ = strconv.ParseUint(f[19], 10, 64)
	}
	return s, nil
}

// parseSyscall reads /proc/PID/syscall: "running", or "-1 sp pc", or a number,
// six arguments, sp and pc.
func parseSyscall(s string) (nr int32, args [6]uint64) {
	f := strings.Fields(s)
	if len(f) != 9 {
		return -1, args
	}
	n, err := strconv.ParseInt(f[0], 10, 32)
	if err != nil || n < 0 {
		return -1, args
	}
	for i := range args {
		if args[i], err = strconv.ParseUint(strings.TrimPrefix(f[i+1], "0x"), 16, 64); err != nil {
			return -1, [6]uint64{}
		}
	}
	return int32(n), args
}
