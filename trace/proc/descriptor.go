package proc

import (
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
// something of that name. Threads may have descriptors of their own, so one
// that cannot be looked at is an error, unless another one tells.
func holds(pid int, prefix string) (bool, error) {
	found, asked := false, false
	var last error
	first := 0
	err := eachNumber(fmt.Sprintf("/proc/%d/task", pid), func(tid int) bool {
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
		case !vanished(err):
			last = err
		}
		return !found
	})
	switch {
	case found:
		return true, nil
	case last != nil:
		return false, last
	case err != nil && !vanished(err):
		return false, err
	case !asked:
		_, err = os.Stat(fmt.Sprintf("/proc/%d", pid))
		return false, err
	}
	return false, nil
}

// sameDescriptors reports whether two threads share their table of descriptors.
// A kernel without kcmp (CONFIG_KCMP) cannot tell; then each is looked at.
func sameDescriptors(a, b int) bool {
	const kcmpFiles = 2
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpFiles, 0, 0, 0)
	return errno == 0 && r == 0
}

// ringName is what an io_uring ring is called, as a descriptor and as a mapping.
const ringName = "anon_inode:[io_uring]"

// Uring reports whether a process has an io_uring ring, whose work passes by
// every seccomp filter: an open descriptor, a mapping (a ring may outlive its
// descriptor), or a kernel thread that serves one. See Supported for
// processes of others. What could not be looked at to its end is an error.
func Uring(pid int) (bool, error) {
	for _, look := range []func(int) (bool, error){
		func(pid int) (bool, error) { return holds(pid, ringName) },
		ringWorker,
		func(pid int) (bool, error) { return mapsRing(pid, maxTable) },
	} {
		if found, err := look(pid); err != nil {
			return false, fmt.Errorf("look for io_uring in process %d: %w", pid, err)
		} else if found {
			return true, nil
		}
	}
	return false, nil
}

// ringWorker looks for the kernel's threads that serve a ring.
func ringWorker(pid int) (found bool, err error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	err = eachNumber(dir, func(tid int) bool {
		b, err := readSome(fmt.Sprintf("%s/%d/stat", dir, tid), smallFile)
		if err != nil {
			return true
		}
		s, err := parseStat(b)
		found = err == nil && (s.flags&flagIOWorker != 0 || strings.HasPrefix(s.comm, "iou-") && s.flags&flagUserWorker != 0)
		return !found
	})
	if vanished(err) {
		err = nil
	}
	return found, err
}

// mapsRing looks for a mapped ring in what may be read of the memory map.
func mapsRing(pid int, limit int64) (bool, error) {
	maps, err := readPatiently(pid, fmt.Sprintf("/proc/%d/maps", pid), limit)
	switch {
	case vanished(err):
		return false, nil
	case err != nil:
		return false, err
	case strings.Contains(string(maps), ringName):
		return true, nil
	case int64(len(maps)) == limit:
		return false, fmt.Errorf("its memory map is longer than %d bytes", limit)
	}
	return false, nil
}

// listenerName is what a seccomp listener is called.
const listenerName = "anon_inode:seccomp notify"

// Listeners lists the seccomp listeners among the descriptors of a process' leader. One
// that has ended has none.
func Listeners(pid int) (fds []int, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	err = eachNumber(dir, func(fd int) bool {
		if to, err := os.Readlink(dir + "/" + strconv.Itoa(fd)); err == nil && to == listenerName {
			fds = append(fds, fd)
		}
		return true
	})
	if vanished(err) {
		err = nil
	}
	return fds, err
}

// ListenerFDs lists the processes of the host that hold a seccomp listener.
// See Supported; what may not be looked at, or vanishes, is left out.
func ListenerFDs() ([]int, error) {
	var out []int
	err := eachNumber("/proc", func(pid int) bool {
		if found, err := holds(pid, listenerName); err == nil && found {
			out = append(out, pid)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("look for seccomp listeners: %w", err)
	}
	return out, nil
}
