package trace

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConfigCheck(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		want   string // "": it is fine
	}{
		"nothing":        {Config{}, "exactly one"},
		"two targets":    {Config{CgroupPath: "/c", Pid: 1}, "exactly one"},
		"negative pid":   {Config{Pid: -1}, "negative"},
		"empty name":     {Config{Arm: []string{""}}, "1 to 127 bytes"},
		"long name":      {Config{Arm: []string{strings.Repeat("x", 128)}}, "1 to 127 bytes"},
		"many names":     {Config{Arm: make([]string, 65)}, "at most 64"},
		"negative rate":  {Config{Pid: 1, SampleRate: -1}, "sample rate"},
		"later and now":  {Config{Arm: []string{"x"}, ArmLater: true}, "exactly one"},
		"a cgroup":       {Config{CgroupPath: "/c"}, ""},
		"names later":    {Config{ArmLater: true}, ""},
		"a name to arm":  {Config{Arm: []string{strings.Repeat("x", 127)}}, ""},
		"process no one": {Config{Pid: 1}, ""},
	} {
		err := c.config.check()
		if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestUnescapeMount(t *testing.T) {
	for in, want := range map[string]string{
		"/sys/fs/cgroup": "/sys/fs/cgroup", `/a\040b`: "/a b", `/a\134`: `/a\`,
		`/short\04`: `/short\04`, `/no\999`: `/no\999`, "": "",
	} {
		if got := unescapeMount(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// The table's native numbers against x/sys, and its shape.
func TestClasses(t *testing.T) {
	table := classes()
	for _, c := range []struct {
		nr   uint32
		path uint8
		kind EventKind
	}{
		{unix.SYS_OPENAT, 2, 0}, {unix.SYS_OPENAT2, 2, 0}, {unix.SYS_EXECVE, 1, 0},
		{unix.SYS_EXECVEAT, 2, 0}, {unix.SYS_NEWFSTATAT, 2, 0}, {unix.SYS_STATX, 2, 0}, {unix.SYS_UNLINKAT, 2, 0},
		{unix.SYS_RENAMEAT2, 2, 0}, {unix.SYS_SYMLINKAT, 3, 0}, {unix.SYS_MOUNT, 2, 0}, {unix.SYS_CHROOT, 1, 0},
		{unix.SYS_INOTIFY_ADD_WATCH, 2, 0}, {unix.SYS_FACCESSAT2, 2, 0}, {unix.SYS_FCHMODAT2, 2, 0},
		{unix.SYS_LISTEN, 0, EventListen}, {unix.SYS_BIND, 0, EventBind}, {unix.SYS_ACCEPT4, 0, EventAccept},
		{unix.SYS_EPOLL_PWAIT2, 0, EventWait}, {unix.SYS_PSELECT6, 0, EventWait}, {unix.SYS_PPOLL, 0, EventWait},
		{unix.SYS_SECCOMP, 0, EventSeccomp}, {unix.SYS_PRCTL, 0, kindPrctl}, {unix.SYS_IO_URING_SETUP, 0, EventUringNew},
		{unix.SYS_READ, 0, 0}, {unix.SYS_WRITE, 0, 0}, {unix.SYS_FUTEX, 0, 0},
	} {
		if got := table[0][c.nr]; got&(1<<argShift-1) != uint32(c.kind)<<kindShift|uint32(c.path) {
			t.Errorf("call %d: class %#x, want path %d and event %d", c.nr, got, c.path, c.kind)
		}
	}
	seen := map[int16]bool{}
	for _, s := range specials {
		if s.i386 != none && seen[s.i386] {
			t.Errorf("i386 call %d is there twice", s.i386)
		}
		seen[s.i386] = true
		if s.path < 0 || s.path > 6 {
			t.Errorf("%+v does not fit into a byte", s)
		}
	}
}

func TestRingSizeIsAPowerOfTwo(t *testing.T) {
	for _, rate := range []int{1, 2000, 16000, maxSampleRate * 64} {
		if n := ringSize(rate); n < 1<<20 || n&(n-1) != 0 {
			t.Errorf("rate %d: ring of %d bytes", rate, n)
		}
	}
}
