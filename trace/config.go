package trace

import (
	"errors"
	"fmt"
	"os"
)

// Config says what to watch. Exactly one of CgroupPath, Arm, ArmLater and Pid is
// set.
type Config struct {
	// CgroupPath is the absolute path of an existing cgroup directory, of any
	// v1 controller's hierarchy or of v2. Cgroups below it are watched too,
	// those made later included.
	CgroupPath string

	// Arm holds leaf names (at most 127 bytes each, 64 of them) of cgroups that
	// will be made soon: the first call made in them is seen. Controller names
	// the hierarchy they will be made in: a v1 controller ("pids"), or "" for v2.
	Arm        []string
	Controller string

	// ArmLater says that there are no names yet: Tracer.Arm will give them, and
	// the first cgroup made of one of them is the target.
	ArmLater bool

	// Pid is the root of a process tree, in the host's pid namespace: the
	// process itself and its descendants, now and later.
	Pid int

	// Waiting says that the processes which are in the target when it is opened
	// are launchers that wait: the program is what they exec. Else they count
	// as the program.
	Waiting bool

	// SameMountNS says that the program gets no mount namespace of its own at
	// its exec, so that the first exec of a process that came from outside is
	// the program. In a container that is not so: there the runtime execs
	// itself first, in the host's mount namespace.
	SameMountNS bool

	// ByProcess counts per process too from the beginning; see WatchProcesses.
	ByProcess bool

	// SampleRate is how many samples a second the kernel lets through on each
	// CPU. 0 means 2000.
	SampleRate int
}

const (
	defaultSampleRate = 2000
	maxSampleRate     = 1_000_000
	maxLeaf           = 127 // and a NUL
	maxArmed          = 64  // of one call: the kernel's map has room for 1024
)

func (c Config) check() error {
	n := 0
	for _, set := range []bool{c.CgroupPath != "", len(c.Arm) > 0, c.ArmLater, c.Pid != 0} {
		if set {
			n++
		}
	}
	if n != 1 {
		return errors.New("exactly one of a cgroup, names to arm and a pid must be given")
	}
	if c.Pid < 0 {
		return fmt.Errorf("pid %d is negative", c.Pid)
	}
	if c.Pid > 0 {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", c.Pid)); err != nil {
			return fmt.Errorf("no process %d", c.Pid)
		}
	}
	if err := checkLeafs(c.Arm); err != nil {
		return err
	}
	if c.SampleRate < 0 || c.SampleRate > maxSampleRate {
		return fmt.Errorf("sample rate %d is not in 0..%d", c.SampleRate, maxSampleRate)
	}
	return nil
}

func checkLeafs(leafs []string) error {
	if len(leafs) > maxArmed {
		return fmt.Errorf("%d names to arm, at most %d can be", len(leafs), maxArmed)
	}
	for _, leaf := range leafs {
		if leaf == "" || len(leaf) > maxLeaf {
			return fmt.Errorf("name to arm %q: must have 1 to %d bytes", leaf, maxLeaf)
		}
	}
	return nil
}

// arms reports whether the target is a cgroup that is still to be made.
func (c Config) arms() bool { return len(c.Arm) > 0 || c.ArmLater }

func (c Config) sampleRate() int {
	if c.SampleRate == 0 {
		return defaultSampleRate
	}
	return c.SampleRate
}
