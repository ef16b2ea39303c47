package apply

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace/proc"
)

// running are the modes that stop processes which run.
var running = []Mode{ModeInject, ModeSeal, ModeHoldRunning}

// checks is the list, in the order of the screen.
var checks = []check{
	{id: "privilege", title: "our own privilege", holds: true, look: lookPrivilege,
		why:    "filters are put into other processes by ptrace, and read back for the proof",
		remedy: "run as root on the host, outside of any container or sandbox"},
	{id: "machine", title: "architecture", holds: true, look: lookMachine,
		why: "the calls are made by x86-64 code", remedy: "use an x86-64 machine for now"},
	{id: "alive", title: "processes", modes: running, holds: true, look: lookAlive,
		why: "there is nothing to apply to", remedy: "start the target"},
	{id: "policy", title: "the policy", look: lookPolicy, remedy: "edit the sets"}, // its warnings say why themselves
	{id: "traced", title: "other tracers", modes: running, holds: true, look: lookTraced,
		why: "a process has one tracer at a time", remedy: "end gdb, strace or what else is attached"},
	{id: "stopped", title: "stopped processes", modes: running, holds: true, look: lookStopped,
		why: "a stopped process cannot load a filter, and must not be started by us", remedy: "let it go on (SIGCONT), or end it"},
	{id: "frozen", title: "frozen processes", modes: running, holds: true, look: lookFrozen,
		why: "a frozen process cannot load a filter, and could die of the attempt", remedy: "unpause the container"},
	{id: "compat", title: "32-bit processes", modes: running, look: lookCompat,
		why: "they cannot be injected yet", remedy: "hold the target by starting it under speaker"},
	{id: "strict", title: "strict seccomp", modes: running, look: lookStrict,
		why: "its processes allow four calls only, and no filter on top", remedy: "leave them: they are narrower already"},
	{id: "uring", title: "io_uring rings", modes: running, look: lookUring,
		why: "what a ring does passes by every filter", remedy: "turn io_uring off in the program and start it anew"},
	{id: "asleep", title: "threads asleep in a call that is removed", look: lookAsleep,
		why: "they go on in it, but fail when they make it again; a recording that never saw it return may lack it", remedy: "allow it in run"},
	{id: "busy", title: "processes that cannot be stopped now", modes: running, look: lookBusy,
		why: "they sleep uninterruptibly: disk, network storage, or a vfork whose child has not exec'ed yet", remedy: "they are tried for three seconds, and named if that fails"},
	{id: "filters", title: "filters already there", modes: running, look: lookFilters,
		why: "filters stack and the strictest answer wins", remedy: "none needed: what they deny stays denied"},
	{id: "listener", title: "another supervisor", modes: []Mode{ModeHoldRunning}, look: lookListener,
		why: "the kernel takes one listener for the filters of a process", remedy: "start the target without that one; or inject, which needs no listener"},
	{id: "foreseen", title: "what the filters together will answer", modes: running, look: lookForeseen,
		why: "the proof would fail, after a step that cannot be taken back", remedy: "start the target without that filter"},
	{id: "nnp", title: "no_new_privs", look: lookNoNewPrivs,
		why: "the kernel asks for it when a process without CAP_SYS_ADMIN loads a filter; setuid programs then lose their power there, for good", remedy: "none needed unless the target runs su, sudo, ping or the like"},
}

// Capabilities by their numbers.
const (
	capPtrace = 1 << unix.CAP_SYS_PTRACE
	capRead   = 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_DAC_OVERRIDE // either
	capAdmin  = 1 << unix.CAP_SYS_ADMIN
)

func lookPrivilege(s *subject) []find {
	me, err := proc.Read(os.Getpid())
	if err != nil {
		return []find{{level: Block, found: err.Error()}}
	}
	var missing []string
	if me.CapEff&capPtrace == 0 {
		missing = append(missing, "CAP_SYS_PTRACE")
	}
	if me.CapEff&capAdmin == 0 {
		missing = append(missing, "CAP_SYS_ADMIN")
	}
	// Descriptors, where rings and listeners are, show to their owner alone.
	others := slices.ContainsFunc(s.infos, func(i proc.Info) bool { return i.Uid != me.Uid })
	if others && me.CapEff&capRead == 0 {
		missing = append(missing, "CAP_DAC_READ_SEARCH")
	}
	var out []find
	if len(missing) > 0 {
		out = append(out, find{level: Block, found: "missing: " + strings.Join(missing, ", ")})
	}
	if me.Seccomp != 0 {
		out = append(out, find{level: Block, found: "speaker itself runs under a seccomp filter, so it may not read those of others"})
	}
	if b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && strings.TrimSpace(string(b)) == "3" {
		out = append(out, find{level: Block, found: "kernel.yama.ptrace_scope is 3: nobody may trace", remedy: "set it lower, which takes a reboot"})
	}
	return out
}

func lookMachine(*subject) []find {
	if runtime.GOARCH == "amd64" {
		return nil
	}
	return []find{{level: Block, found: runtime.GOARCH}}
}

func lookAlive(s *subject) []find {
	if len(s.infos) > 0 {
		return nil
	}
	return []find{{level: Block, found: "none"}}
}

func lookPolicy(s *subject) []find {
	var out []find
	for _, w := range s.policy.Warnings() {
		f := find{level: Warn, found: w.Text, remedy: w.Remedy}
		if w.Block || w.BlockHold && s.mode.holds() {
			f.level = Block
		}
		out = append(out, f)
	}
	if _, err := policy.Compile(s.spec()); err != nil {
		out = append(out, find{level: Block, found: err.Error()})
	}
	return out
}

func lookTraced(s *subject) []find {
	return s.those(Block, func(i proc.Info) string {
		if i.Tracer == 0 {
			return ""
		}
		return fmt.Sprintf("traced by %d", i.Tracer)
	})
}

func lookStopped(s *subject) []find {
	return s.those(Block, func(i proc.Info) string {
		if i.State == 'T' || i.State == 't' && i.Tracer == 0 {
			return "stopped"
		}
		return ""
	})
}

func lookFrozen(s *subject) []find {
	return s.those(Block, func(i proc.Info) string {
		yes, err := proc.Frozen(i.Pid)
		return seen("frozen", yes, err)
	})
}

func lookCompat(s *subject) []find {
	return s.those(Block, func(i proc.Info) string {
		if i.Compat32 {
			return "32-bit"
		}
		return ""
	})
}

func lookStrict(s *subject) []find {
	return s.those(Block, func(i proc.Info) string {
		if i.Seccomp == 1 {
			return "strict mode"
		}
		return ""
	})
}

// seen words what a look at a process gave. What cannot be looked at may be
// there, unless the process is gone.
func seen(word string, yes bool, err error) string {
	switch {
	case gone(err):
		return ""
	case err != nil:
		return "cannot be looked at (" + err.Error() + ")"
	case yes:
		return word
	}
	return ""
}

func lookUring(s *subject) []find {
	return s.those(Block, func(i proc.Info) string {
		yes, err := proc.Uring(i.Pid)
		return seen("has a ring", yes, err)
	})
}

func lookBusy(s *subject) []find {
	return s.those(Warn, func(i proc.Info) string {
		if i.State != 'D' {
			return ""
		}
		if yes, err := proc.Frozen(i.Pid); yes && err == nil {
			return "" // it shows as such, and is told as frozen
		}
		return "uninterruptible"
	})
}

func lookFilters(s *subject) []find {
	return s.those(Note, func(i proc.Info) string {
		switch {
		case i.Seccomp != 2:
			return ""
		case i.Filters == 1:
			return "1 filter"
		case i.Filters > 1:
			return fmt.Sprintf("%d filters", i.Filters)
		}
		return "filters"
	})
}

func lookNoNewPrivs(s *subject) []find {
	return s.those(Note, func(i proc.Info) string {
		if i.NoNewPrivs || i.CapEff&capAdmin != 0 {
			return ""
		}
		return "will get it"
	})
}

// holds says that the mode is of a hold that is to be put in place.
func (m Mode) holds() bool { return m == ModeHold || m == ModeHoldRunning }

// spec is that of the filter which is to be put in.
func (s *subject) spec() policy.Spec {
	switch s.mode {
	case ModeHold:
		return s.policy.StartSpec()
	case ModeHoldRunning:
		return s.policy.RunningSpec()
	}
	return s.policy.NarrowSpec()
}

// lookAsleep lists the calls, with those who sleep in them.
func lookAsleep(s *subject) []find {
	narrow, conditional := s.policy.Narrow(), s.policy.Conditional(policy.Run)
	who, maybe := map[policy.Call][]string{}, map[policy.Call][]string{}
	var restarted []string
	for _, t := range s.threads {
		if t.Nr < 0 {
			continue
		}
		c := policy.Call{ABI: policy.ABI(t.ABI), Nr: uint32(t.Nr)}
		if c.String() == restartSyscall {
			restarted = append(restarted, fmt.Sprintf("%d (%q)", t.Tid, t.Comm))
		}
		if !narrow.Has(c) {
			who[c] = append(who[c], fmt.Sprintf("%d (%q)", t.Tid, t.Comm))
		} else if conditional.Has(c) {
			maybe[c] = append(maybe[c], fmt.Sprintf("%d (%q)", t.Tid, t.Comm))
		}
	}
	level := Block
	if s.mode.holds() {
		level = Warn
	}
	var out []find
	for c, tids := range who {
		out = append(out, find{level: level, found: fmt.Sprintf("%s: %s", c, some(tids)), remedy: fmt.Sprintf("allow %s in run", c)})
	}
	for c, tids := range maybe {
		out = append(out, find{level: Warn, found: fmt.Sprintf("%s, allowed under a condition, and whether theirs passes is not looked at: %s", c, some(tids)),
			remedy: fmt.Sprintf("take the condition on %s back if it must go on", c)})
	}
	slices.SortFunc(out, func(a, b find) int { return strings.Compare(a.found, b.found) })
	if len(restarted) > 0 {
		out = append(out, find{level: Note, found: "they were stopped in a call, by a check or a pause say, and in which one is not known until they make it again: " + some(restarted),
			remedy: "check again after they have"})
	}
	return out
}

// restartSyscall is the call that a stopped one goes on as.
const restartSyscall = "restart_syscall"

// those makes one find of all processes of which a word can be said.
func (s *subject) those(level Level, word func(proc.Info) string) []find {
	var all []string
	for _, i := range s.infos {
		if w := word(i); w != "" {
			all = append(all, fmt.Sprintf("%d (%q) %s", i.Pid, i.Comm, w))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []find{{level: level, found: some(all)}}
}

// some lists the first few.
func some(all []string) string {
	const few = 5
	if len(all) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:few], ", "), len(all)-few)
	}
	return strings.Join(all, ", ")
}
