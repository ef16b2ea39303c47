// facts WHAT: becomes something that /proc tells of, prints a line, and sleeps.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void need(int ok, const char *what) {
	if (!ok) {
		if (errno == ENOSYS || errno == EPERM || errno == EINVAL)
			exit(77);
		perror(what);
		exit(3);
	}
}

static void ready(void) {
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static int ring(uint32_t flags) {
	struct io_uring_params p = {.flags = flags, .sq_thread_idle = 60000};
	int fd = syscall(SYS_io_uring_setup, 4, &p);
	need(fd >= 0, "io_uring_setup");
	return fd;
}

static int listener(void) {
	struct sock_filter f = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog p = {1, &f};
	int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &p);
	need(fd >= 0, "seccomp");
	return fd;
}

static void *private_ring(void *p) {
	need(!unshare(CLONE_FILES), "unshare");
	ring(0);
	ready();
	return p;
}

static void *private_listener(void *p) {
	need(!unshare(CLONE_FILES), "unshare");
	listener();
	ready();
	return p;
}

static void *leaderless(void *p) {
	ring(0);
	ready();
	return p;
}

int main(int argc, char **argv) {
	const char *what = argv[1];
	pthread_t t;
	if (!strcmp(what, "groups")) {
		static gid_t groups[65536];
		for (int i = 0; i < 65536; i++)
			groups[i] = 4294900000u + i;
		need(!setgroups(65536, groups), "setgroups");
		need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
		listener();
	} else if (!strcmp(what, "name"))
		prctl(PR_SET_NAME, "x) R 1\n(");
	else if (!strcmp(what, "ring"))
		ring(0);
	else if (!strcmp(what, "mapped ring")) {
		int fd = ring(0);
		need(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING) != MAP_FAILED, "mmap");
		close(fd);
	} else if (!strcmp(what, "polled ring"))
		ring(IORING_SETUP_SQPOLL);
	else if (!strcmp(what, "private ring"))
		pthread_create(&t, 0, private_ring, 0), pthread_join(t, 0);
	else if (!strcmp(what, "ring without a leader"))
		pthread_create(&t, 0, leaderless, 0), pthread_exit(0);
	else if (!strcmp(what, "hidden ring")) { // behind many descriptors
		int fd = ring(0);
		for (int i = 0; i < 1000; i++)
			dup(0);
		dup2(fd, 1020);
		close(fd);
	} else if (!strcmp(what, "listener"))
		listener();
	else if (!strcmp(what, "private listener"))
		pthread_create(&t, 0, private_listener, 0), pthread_join(t, 0);
	ready();
}
