package trace

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Of several candidates the first of which a cgroup is made is the target, by
// whichever of its names; what comes of the others later is not.
func TestArmLater(t *testing.T) {
	needRoot(t)
	prog := program(t, "forks")
	for name, root := range hierarchies(t) {
		t.Run(name, func(t *testing.T) {
			controller := filepath.Base(root)
			if name == "v2" {
				controller = ""
			}
			tr := open(t, Config{ArmLater: true, Controller: controller, SameMountNS: true})
			if !tr.StartSeen() || tr.Taken() != 0 {
				t.Errorf("start seen %v, taken %d", tr.StartSeen(), tr.Taken())
			}
			names := []string{"speaker-trace-arm-a", "speaker-trace-arm-b", "speaker-trace-arm-b2"}
			if err := errors.Join(tr.Arm(1, names[0]), tr.Arm(2, names[1:]...)); err != nil {
				t.Fatal(err)
			}
			if err := tr.Arm(3, strings.Repeat("x", 200)); err == nil {
				t.Error("a name that is too long was armed")
			}
			before := now()
			for _, n := range []string{names[2], names[0]} {
				path := named(t, root, n)
				run(t, enter(t, path, prog, "child"))
			}
			until(t, "all processes are gone", func() bool { return len(tr.Pids()) == 0 })
			var got total
			got.add(t, tr)
			if n := got.counts[key{Main, native, unix.SYS_GETUID}]; n != 5 || tr.Taken() != 2 {
				t.Errorf("counted %d getuid of candidate %d, one candidate made 5", n, tr.Taken())
			}
			if at := tr.control.TakenAt; at < before || at > now() {
				t.Errorf("taken at %d, not after %d", at, before)
			}
		})
	}
}

// The first epoch begins with what was waited for, not with the waiting, and a
// name that was taken back is none.
func TestArmedEpoch(t *testing.T) {
	needRoot(t)
	root, controller := "/sys/fs/cgroup/pids", "pids"
	if _, ok := hierarchies(t)["v1 pids"]; !ok {
		root, controller = hierarchies(t)["v2"], ""
	}
	tr := open(t, Config{ArmLater: true, Controller: controller, SameMountNS: true})
	const name, gone = "speaker-trace-arm-c", "speaker-trace-arm-d"
	if err := errors.Join(tr.Arm(7, name), tr.Arm(8, gone)); err != nil {
		t.Fatal(err)
	}
	tr.Disarm(gone, "never armed")
	named(t, root, gone)
	if tr.Taken() != 0 {
		t.Error("a name that was taken back was met")
	}
	opened := tr.start
	time.Sleep(20 * time.Millisecond)
	named(t, root, name)
	s, err := tr.Snapshot()
	if err != nil || s.Start < opened+20e6 || s.Start > s.End {
		t.Errorf("the epoch is %d..%d, the tracer was opened at %d: %v", s.Start, s.End, opened, err)
	}
	tr.Close()
	if err := tr.Arm(9, name); !errors.Is(err, ErrClosed) || tr.Taken() != 0 {
		t.Errorf("armed when closed: %v", err)
	}
}
