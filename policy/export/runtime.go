package export

import "speaker/policy"

// needed holds what runtimes were seen to call between loading the filter and
// the program's execve, and margin what other versions, other kernels and the Go
// runtime inside runc may call there. Measured on runc 1.1.5 and crun 1.8.
var (
	needed = []string{
		// runc, whether or not the container has no_new_privs
		"close", "epoll_ctl", "execve", "fstatfs", "futex", "getdents64",
		"getpid", "openat", "rt_sigreturn", "write",
		// runc without no_new_privs: it loads the filter earlier
		"capget", "capset", "chdir", "faccessat2", "fchown", "fcntl", "fstat",
		"getcwd", "getppid", "newfstatat", "prctl", "read", "setgid",
		"setgroups", "setuid",
		// crun
		"rt_sigaction", "rt_sigprocmask", "setresgid", "setresuid",
	}
	margin = []string{
		"brk", "clock_gettime", "clone", "close_range", "dup3", "epoll_create1",
		"epoll_pwait", "execveat", "exit", "exit_group", "faccessat", "fchdir",
		"getegid", "geteuid", "getgid", "getrandom", "gettid", "getuid", "lseek",
		"madvise", "mmap", "mprotect", "munmap", "nanosleep", "openat2",
		"pipe2", "readlinkat", "restart_syscall", "rseq", "sched_getaffinity",
		"sched_yield", "set_robust_list", "sigaltstack", "statfs", "statx",
		"tgkill", "umask",
	}
)

// RuntimeCalls returns, for the native ABI, what runc and crun call after they
// have loaded a container's filter and before the program starts.
func RuntimeCalls() policy.Set {
	var calls []policy.Call
	for _, list := range [][]string{needed, margin} {
		for _, name := range list {
			// A name that the ABI lacks cannot be called either.
			if c, err := policy.ParseCall(name); err == nil {
				calls = append(calls, c)
			}
		}
	}
	return policy.NewSet(calls...)
}
