/* Calls whose arguments decide what they are, each value as often as it says:
 * "abi number value value count" lines, the oracle for the counted values. Then
 * the marks of a server that gives its power up. Runs as root. */
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

static void child(long (*clone)(unsigned long), unsigned long flags)
{
	if (clone(flags) == 0)
		syscall(SYS_exit_group, 0);
	wait(NULL);
}

static long clone2(unsigned long flags) { return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0); }

static long clone3(unsigned long flags)
{
	struct clone_args a = { .flags = flags, .exit_signal = SIGCHLD };

	return syscall(SYS_clone3, &a, sizeof(a));
}

int main(void)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

	for (int i = 0; i < 3; i++) {
		syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));
		socket(AF_UNIX, SOCK_DGRAM, 0);
		child(clone3, CLONE_NEWUTS);
	}
	for (int i = 0; i < 5; i++) {
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		socket(AF_NETLINK, SOCK_RAW, 0);
		syscall(SYS_openat, AT_FDCWD, "/", O_PATH);
		ioctl(0, 0x5401UL + (i > 1), 0);
		prctl(PR_GET_DUMPABLE);
		personality(0xffffffff);
		child(clone2, CLONE_NEWIPC);
	}
	mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("437 %llu 0 3\n", (unsigned long long)how.flags);
	printf("%d %d %d 3\n", SYS_socket, AF_UNIX, SOCK_DGRAM);
	printf("%d %d %d 5\n", SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC);
	printf("%d %d %d 5\n", SYS_socket, AF_NETLINK, SOCK_RAW);
	printf("435 %llu 0 3\n", (unsigned long long)CLONE_NEWUTS);
	printf("%d %llu 0 5\n", SYS_clone, (unsigned long long)CLONE_NEWIPC | SIGCHLD);
	printf("%d %d 0 5\n", SYS_openat, O_PATH);
	printf("%d %d 0 2\n%d %d 0 3\n", SYS_ioctl, 0x5401, SYS_ioctl, 0x5402);
	printf("%d %d 0 5\n", SYS_prctl, PR_GET_DUMPABLE);
	printf("%d %u 0 5\n", SYS_personality, 0xffffffff);
	printf("%d 7 0 1\n", SYS_mmap);
	fflush(stdout);
	prctl(PR_CAPBSET_DROP, 0, 0, 0, 0);
	setresuid(1234, 1234, 1234);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return 0;
}
