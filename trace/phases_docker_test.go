package trace

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lightContainer makes a container of the program light, whose own calls are
// known, and which is its shell too: a health check runs by /bin/sh.
func lightContainer(t *testing.T, flags ...string) (id string) {
	t.Helper()
	light := program(t, "light", bare...)
	return create(t, append(append([]string{"-v", light + ":/bin/sh:ro"}, flags...), image(t, light), "/light")...)
}

// lightMain wants Main to have the calls of the program light, which was stopped
// so many times, and no other.
func lightMain(t *testing.T, counts map[key]uint64, stops uint64) {
	t.Helper()
	loops := counts[key{Main, X86_64, unix.SYS_GETPPID}]
	waits := counts[key{Main, X86_64, unix.SYS_RT_SIGTIMEDWAIT}]
	if loops == 0 || waits > loops+stops+1 || loops > waits+stops+1 {
		t.Errorf("Main has %d getppid and %d rt_sigtimedwait", loops, waits)
	}
	for k, n := range counts {
		switch k.nr {
		case unix.SYS_GETPPID, unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_RT_SIGPROCMASK:
		case unix.SYS_GETUID, unix.SYS_EXIT_GROUP:
		default:
			t.Errorf("Main has %d of call %d (abi %d), which the program never makes", n, k.nr, k.abi)
		}
	}
	if n := counts[key{Main, X86_64, unix.SYS_GETUID}]; n != 7*stops {
		t.Errorf("Main has %d getuid of %d stops", n, stops)
	}
	if n := counts[key{Main, X86_64, unix.SYS_EXIT_GROUP}]; n != stops {
		t.Errorf("Main has %d exit_group of %d stops", n, stops)
	}
}

// execs counts the programs that were executed in a group.
func (c *collector) execs(g Group, path string) (n uint64) {
	c.events = c.tr.Events(c.events)
	for _, e := range c.events {
		if e.Kind == EventExec && e.Group == g && strings.HasPrefix(e.Path, path) {
			n++
		}
	}
	return n
}

// Health checks, an exec and a stop, of a container that was booted under the
// tracer and of one that ran before: a check is Exec, with the runtime's part of
// it Init, as often as it was made; Main has the program's calls and no other;
// the stop is a signal, and what the program does after it comes after it.
func TestDockerHealthCheckAndStop(t *testing.T) {
	needRoot(t)
	for _, armed := range []bool{true, false} {
		t.Run(fmt.Sprintf("armed=%v", armed), func(t *testing.T) {
			id := lightContainer(t, "--name", fmt.Sprint("sc-health-", armed), "--health-cmd", "check", "--health-interval", "300ms")
			c := &collector{}
			if armed {
				c.tr = open(t, Config{Arm: dockerLeafs(id), Controller: dockerHierarchy(t)})
				docker(t, "start", id)
			} else {
				docker(t, "start", id)
				pid := docker(t, "inspect", "--format", "{{.State.Pid}}", id)
				c.tr = open(t, Config{CgroupPath: cgroupOf(t, pid, dockerHierarchy(t))})
			}
			stop := snapshots(t, c.tr, 100*time.Millisecond)
			until(t, "there were checks", func() bool { return c.execs(Exec, "/bin/sh") >= 4 })
			docker(t, "exec", id, "/light", "x")
			if h := docker(t, "inspect", "--format", "{{.State.Health.Status}}", id); h != "healthy" {
				t.Errorf("the container is %s", h)
			}
			docker(t, "stop", id)
			until(t, "all processes are gone", func() bool { return len(c.tr.Pids()) == 0 })
			got := stop()
			lightMain(t, got.group(Main), 1)

			// The last check may have been killed by the stop, or have begun
			// before the tracer did.
			checks, exec := c.execs(Exec, "/bin/sh"), got.group(Exec)
			made := 5 * (checks + c.execs(Exec, "/light"))
			if n := exec[key{Main, X86_64, unix.SYS_GETGID}]; n > made || n+5 < made {
				t.Errorf("Exec has %d getgid, %d checks and an exec made %d", n, checks, made)
			}
			delete(exec, key{Main, X86_64, unix.SYS_GETGID})
			delete(exec, key{Main, X86_64, unix.SYS_EXIT_GROUP})
			if len(exec) != 0 {
				t.Errorf("Exec has %v, which no check makes", exec)
			}
			begun := got.counts[key{Init, X86_64, unix.SYS_EXECVE}]
			if begun < checks || begun > 3*(checks+3) {
				t.Errorf("Init has %d execve for %d checks", begun, checks)
			}
			if n := c.execs(Main, ""); armed && n != 1 || !armed && n != 0 {
				t.Errorf("%d programs were executed in Main", n)
			}
			term := c.find(t, EventSignal, func(e Event) bool { return e.Args[0] == uint64(unix.SIGTERM) && e.Group == Main })
			exit := c.find(t, EventExit, func(e Event) bool { return e.Group == Main })
			if exit.Pid != term.Pid || exit.Time < term.Time || exit.Args[0] != 0 {
				t.Errorf("signal %+v, then exit %+v", term, exit)
			}
		})
	}
}

// A container that is restarted while it is watched. By its name, the next life
// begins with Init again, and has the same health checks in Exec. By its cgroup,
// watching ends with the cgroup: the next life has another, and nothing of it is
// taken for the one that ended.
func TestDockerRestartWhileWatched(t *testing.T) {
	needRoot(t)
	for _, armed := range []bool{true, false} {
		t.Run(fmt.Sprintf("armed=%v", armed), func(t *testing.T) {
			id := lightContainer(t, "--name", fmt.Sprint("sc-restart-", armed), "--health-cmd", "check", "--health-interval", "300ms")
			c := &collector{}
			if armed {
				c.tr = open(t, Config{Arm: dockerLeafs(id), Controller: dockerHierarchy(t)})
				docker(t, "start", id)
			} else {
				docker(t, "start", id)
				pid := docker(t, "inspect", "--format", "{{.State.Pid}}", id)
				c.tr = open(t, Config{CgroupPath: cgroupOf(t, pid, dockerHierarchy(t))})
			}
			var first, second total
			until(t, "there were checks", func() bool { first.add(t, c.tr); return c.execs(Exec, "/bin/sh") >= 2 })
			docker(t, "restart", id)
			old := c.find(t, EventExit, func(e Event) bool { return e.Group == Main })
			later := func(e Event) bool { return e.Kind == EventExec && e.Time > old.Time && e.Group != Init }
			if !armed {
				until(t, "the second life was checked", func() bool {
					return docker(t, "inspect", "--format", "{{.State.Health.Status}}", id) == "healthy"
				})
				first.add(t, c.tr)
				lightMain(t, first.group(Main), 1)
				c.events = c.tr.Events(c.events)
				if pids := c.tr.Pids(); len(pids) != 0 || slices.ContainsFunc(c.events, later) {
					t.Errorf("%v are in a cgroup that is gone; events %+v", pids, c.events)
				}
				return
			}
			again := func() (n int) {
				c.events = c.tr.Events(c.events)
				for _, e := range c.events {
					if later(e) && e.Group == Exec {
						n++
					}
				}
				return n
			}
			until(t, "there were checks in the second life", func() bool { second.add(t, c.tr); return again() >= 2 })
			docker(t, "stop", id)
			until(t, "all processes are gone", func() bool { return len(c.tr.Pids()) == 0 })
			second.add(t, c.tr)
			both := map[key]uint64{}
			for _, life := range []*total{&first, &second} {
				for k, n := range life.group(Main) {
					both[k] += n
				}
			}
			lightMain(t, both, 2)
			if n := c.execs(Main, "/light"); n != 2 {
				t.Errorf("%d programs were executed in Main in two lives", n)
			}
		})
	}
}
