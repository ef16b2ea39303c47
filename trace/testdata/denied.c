/* Loads a filter that refuses getppid with EPERM, answers getpgid with 0 and
 * lets the rest pass, then calls them from two threads and two processes. Each
 * of the four makes N getppid, N getpgid and N getuid.
 * usage: denied N; waits for a byte on stdin before it begins */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int n;

static void *calls(void *arg)
{
	syscall(SYS_getuid); /* so that the thread has been seen */
	for (int i = 0; i < n; i++) {
		syscall(SYS_getppid);
		syscall(SYS_getpgid, 0);
		if (i)
			syscall(SYS_getuid);
	}
	return arg;
}

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 2, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };
	pthread_t t;
	char c;

	n = argc > 1 ? atoi(argv[1]) : 10;
	if (read(0, &c, 1) != 1)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		return 3;
	for (int i = 0; i < 2; i++) {
		if (i && fork())
			break;
		pthread_create(&t, NULL, calls, NULL);
		calls(NULL);
		pthread_join(t, NULL);
		if (i)
			_exit(0);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
