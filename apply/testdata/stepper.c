/* Runs a command and kills it at its Nth call to the outside: stepper N FILE COMMAND...
 * Calls of all its threads count, not those of the processes that it starts. FILE is
 * made when the Nth is reached. What a Go program calls for itself (memory, waits,
 * signals) and what only reads does not count, so that the numbers mean about the same
 * from run to run. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int counts(struct __ptrace_syscall_info *i)
{
	switch (i->entry.nr) {
	case SYS_openat:
		return (i->entry.args[2] & (O_ACCMODE | O_CREAT)) != 0;
	case SYS_write: case SYS_ioctl: case SYS_poll: case SYS_ppoll: case SYS_socket: case SYS_bind: case SYS_listen:
	case SYS_accept4: case SYS_connect: case SYS_getsockopt: case SYS_rename: case SYS_renameat: case SYS_renameat2:
	case SYS_unlink: case SYS_unlinkat: case SYS_rmdir: case SYS_mkdir: case SYS_mkdirat: case SYS_fchmodat:
	case SYS_umask: case SYS_clone: case SYS_clone3: case SYS_execve: case SYS_pidfd_open: case SYS_pidfd_getfd:
	case SYS_eventfd2: case SYS_socketpair: case SYS_pipe2: case SYS_waitid: case SYS_exit_group: case SYS_recvmsg:
	case SYS_sendmsg: case SYS_timer_create:
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4) return 2;
	long left = atol(argv[1]);
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	int st;
	if (waitpid(pid, &st, 0) != pid || ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)) return 1;
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	for (;;) {
		pid_t tid = waitpid(-1, &st, __WALL);
		if (tid < 0) return 0;
		if (!WIFSTOPPED(st)) continue;
		int sig = WSTOPSIG(st);
		if (sig == (SIGTRAP | 0x80)) {
			struct __ptrace_syscall_info i;
			sig = 0;
			if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof i, &i) > 0 && i.op == PTRACE_SYSCALL_INFO_ENTRY && counts(&i) && --left == 0) {
				close(open(argv[2], O_WRONLY | O_CREAT, 0600));
				kill(pid, SIGKILL);
			}
		} else if (sig == SIGTRAP || st >> 16) sig = 0; /* of ours */
		else if (sig == SIGSTOP && tid != pid) sig = 0; /* a new thread */
		ptrace(PTRACE_SYSCALL, tid, 0, sig);
	}
}
