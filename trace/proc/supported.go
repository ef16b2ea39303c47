package proc

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Supported says in one line which capability is missing to look into processes
// of other users, or returns nil. Without it the rest of this package sees less,
// in silence: a process that may not be looked into looks like one without
// descriptors, and asleep in nothing.
func Supported() error {
	me, err := Read(os.Getpid())
	if err != nil {
		return fmt.Errorf("read own capabilities: %w", err)
	}
	return permitted(me.CapEff)
}

func permitted(caps uint64) error {
	has := func(c int) bool { return caps>>c&1 == 1 }
	trace, read := has(unix.CAP_SYS_PTRACE), has(unix.CAP_DAC_READ_SEARCH) || has(unix.CAP_DAC_OVERRIDE)
	const seen = "what sleeps and listens in processes of other users is seen only with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: "
	switch {
	case !trace && !read:
		return fmt.Errorf(seen + "both are missing (root has them)")
	case !trace:
		return fmt.Errorf(seen + "CAP_SYS_PTRACE is missing (root has both)")
	case !read:
		return fmt.Errorf(seen + "CAP_DAC_READ_SEARCH is missing (root has both)")
	}
	return nil
}
