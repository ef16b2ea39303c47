package trace

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Who comes in is told, with who let it in, until its exec is: the first is the
// program, a later one came late; what they fork afterwards is nobody's business.
func TestEntries(t *testing.T) {
	needRoot(t)
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/mnt", &ns); err != nil {
		t.Fatal(err)
	}
	for name, path := range hierarchies(t) {
		t.Run(name, func(t *testing.T) {
			cg := cgroup(t, path)
			e, err := OpenEntries(EntriesConfig{CgroupPath: cg, SameMountNS: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			for late := range uint64(2) {
				cmd := enter(t, cg, "/bin/sh", "-c", "/bin/true; /bin/true")
				run(t, cmd)
				var kinds []EventKind
				until(t, "its exec is told", func() bool {
					fds := []unix.PollFd{{Fd: int32(e.FD()), Events: unix.POLLIN}}
					if n, err := unix.Poll(fds, 1000); n != 1 && err == nil {
						return false
					}
					for _, x := range e.Take(nil) {
						kinds = append(kinds, x.Kind)
						if int(x.Pid) != cmd.Process.Pid || x.Kind == EventEnter && x.Args != [2]uint64{ns.Ino, late} {
							t.Errorf("told %+v of process %d, let in from %d", x, cmd.Process.Pid, ns.Ino)
						}
						if x.Kind == EventExec && (x.Path != "/bin/sh" || x.Group != []Group{Main, Exec}[late]) {
							t.Errorf("told of the exec %+v", x)
						}
					}
					return slices.Contains(kinds, EventExec)
				})
				for _, x := range e.Take(nil) {
					t.Errorf("told %+v after the exec", x)
				}
				if !slices.Equal(kinds, []EventKind{EventEnter, EventExec}) {
					t.Errorf("told %v", kinds)
				}
			}
		})
	}
	if _, err := OpenEntries(EntriesConfig{CgroupPath: os.TempDir()}); err == nil {
		t.Error("what is no cgroup was watched")
	}
}
