package policy

import (
	"slices"
	"strings"
)

// runtimeNeeds are the calls of one version of a container runtime between
// loading a filter and the program's execve, for root and others.
type runtimeNeeds struct {
	name, version string
	calls         string // of every container
	privs         string // besides, without no_new_privs: it loads the filter earlier
	waits         string // besides, without no_new_privs, where it is created and then told to start
}

// runtimes were measured under strace; a test does so again where they are.
var runtimes = []runtimeNeeds{
	{"runc", "1.1.5",
		"close epoll_ctl execve fstatfs futex getdents64 getpid openat rt_sigreturn write",
		"capget capset chdir faccessat2 fchown fcntl fstat getcwd getppid newfstatat prctl read setgid setgroups setuid",
		""},
	{"crun", "1.8.1",
		"close execve",
		"capset prctl rt_sigaction rt_sigprocmask setresgid setresuid write",
		"pselect6 read"},
}

// runtimeMargin is what other versions, other kernels and the Go runtime inside
// runc may call there.
const runtimeMargin = "brk clock_gettime clone close_range dup3 epoll_create1 epoll_pwait execveat exit " +
	"exit_group faccessat fchdir getegid geteuid getgid getrandom gettid getuid lseek madvise mmap mprotect " +
	"munmap nanosleep openat2 pipe2 readlinkat restart_syscall rseq sched_getaffinity sched_yield " +
	"set_robust_list sigaltstack statfs statx tgkill umask"

// RuntimeCalls returns, for the native ABI, what runc and crun call after they
// have loaded a container's filter and before the program starts. A container
// whose own filter lacks them does not start.
func RuntimeCalls() Set {
	names := strings.Fields(runtimeMargin)
	for _, r := range runtimes {
		names = append(names, strings.Fields(r.calls+" "+r.privs+" "+r.waits)...)
	}
	return namedHere(names...)
}

// namedHere returns the native calls of these names; one that the ABI lacks
// cannot be called either.
func namedHere(names ...string) Set {
	var calls []Call
	for _, name := range names {
		if nr, ok := numbers()[Native()][name]; ok {
			calls = append(calls, Call{Native(), nr})
		}
	}
	return NewSet(calls...)
}

// measuredRuntimes words which versions the table is of.
func measuredRuntimes() string {
	var out []string
	for _, r := range runtimes {
		out = append(out, r.name+" "+r.version)
	}
	return strings.Join(out, ", ")
}

// warnRuntime is about denials that an exported profile cannot keep.
func warnRuntime(p Policy) []Warning {
	var calls []Call
	for c := range RuntimeCalls().All() {
		e, ok := p.Entry(c)
		byHand := func(r Reason) bool { return r.Origin == OriginHand && (r.Phase == Run || r.Phase == Boot) }
		_, essential := p.essential[c] // another warning's
		if ok && !essential && !e.Run && slices.ContainsFunc(e.Why, byHand) {
			calls = append(calls, c)
		}
	}
	if len(calls) == 0 {
		return nil
	}
	return []Warning{{
		Text:   "an exported profile allows calls that are denied by hand: the container runtime makes them between loading the filter and starting the program (measured: " + measuredRuntimes() + ")",
		Remedy: "hold or inject the run filter, which comes after the runtime, where the denial matters",
		Calls:  calls,
	}}
}
