package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// eachDescriptor calls f with what each of a thread's descriptors leads to
// ("socket:[123]"), until f returns false. There is no bound but the kernel's: a
// process must not hide a descriptor behind a million others.
func (t Thread) eachDescriptor(f func(to string) bool) error {
	dir := t.dir() + "fd"
	return eachNumber(dir, func(fd int) bool {
		to, err := os.Readlink(dir + "/" + strconv.Itoa(fd))
		return err != nil || f(to)
	})
}

// leadsTo is what one of a thread's descriptors leads to, "" if it is not there.
func (t Thread) leadsTo(fd int) string {
	to, _ := os.Readlink(t.dir() + "fd/" + strconv.Itoa(fd))
	return to
}

// holds reports whether any thread of a process has a descriptor that leads to
// something of that name. Threads may have descriptors of their own.
func holds(pid int, prefix string) (bool, error) {
	found, asked := false, false
	var last error
	first := 0
	eachNumber(fmt.Sprintf("/proc/%d/task", pid), func(tid int) bool {
		if first != 0 && sameDescriptors(first, tid) {
			return true
		}
		t := Thread{Pid: pid, Tid: tid}
		err := t.eachDescriptor(func(to string) bool {
			found = strings.HasPrefix(to, prefix)
			return !found
		})
		switch {
		case err == nil:
			asked = true
			if first == 0 {
				first = tid
			}
		case !errors.Is(err, os.ErrNotExist):
			last = err
		}
		return !found
	})
	if !asked && last == nil {
		_, last = os.Stat(fmt.Sprintf("/proc/%d", pid))
	}
	if asked {
		last = nil
	}
	return found, last
}

// sameDescriptors reports whether two threads share their table of descriptors.
// A kernel without kcmp (CONFIG_KCMP) cannot tell; then each is looked at.
func sameDescriptors(a, b int) bool {
	const kcmpFiles = 2
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpFiles, 0, 0, 0)
	return errno == 0 && r == 0
}

// Uring reports whether a process has an io_uring ring, whose work passes by
// every seccomp filter: an open descriptor, a mapping (a ring may outlive its
// descriptor), or a kernel thread that serves one. See Supported for
// processes of others.
func Uring(pid int) (bool, error) {
	const name = "anon_inode:[io_uring]"
	found, err := holds(pid, name)
	if err != nil {
		return false, fmt.Errorf("look for io_uring in process %d: %w", pid, err)
	}
	if found {
		return true, nil
	}
	for _, tid := range numbers(fmt.Sprintf("/proc/%d/task", pid), maxThreads) {
		b, err := readSome(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid), smallFile)
		if err != nil {
			continue
		}
		if s, err := parseStat(b); err == nil && s.flags&flagIOWorker != 0 || strings.HasPrefix(s.comm, "iou-") && s.flags&flagUserWorker != 0 {
			return true, nil
		}
	}
	maps, err := readPatiently(pid, fmt.Sprintf("/proc/%d/maps", pid), maxTable)
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return false, fmt.Errorf("look for io_uring in process %d: %w", pid, err)
	}
	return strings.Contains(string(maps), name), nil
}

// ListenerFDs lists the processes of the host that hold a seccomp listener.
// See Supported; what may not be looked at, or vanishes, is left out.
func ListenerFDs() ([]int, error) {
	var out []int
	err := eachNumber("/proc", func(pid int) bool {
		if found, err := holds(pid, "anon_inode:seccomp notify"); err == nil && found {
			out = append(out, pid)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("look for seccomp listeners: %w", err)
	}
	return out, nil
}
