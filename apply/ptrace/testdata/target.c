/* A process that notices when it is not what it was. It waits in the way its
 * argument says, answers each SIGUSR1 with one byte on stdout, and exits with
 * a status of its own when something happens that no program should see. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t flag;
static int tolerant; /* of an EINTR without a signal */

static void answer(void) { if (write(1, "x", 1) != 1) _exit(9); }
static void on_signal(int s) { (void)s; flag = 1; }
static void on_signal_now(int s) { (void)s; answer(); }

/* Spins with known values in every register and flag, and looks after them. */
static void registers(void)
{
	__asm__ volatile(
		"pushq %%rbp\n subq $4096, %%rsp\n"
		"movq $0x1111, %%rax\n movq %%rax, %%xmm7\n movq %%rax, %%xmm8\n"
		"movq $0x7001, %%rbx\n movq $0x7002, %%rcx\n movq $0x7003, %%rdx\n movq $0x7004, %%rsi\n movq $0x7005, %%rdi\n"
		"movq $0x7006, %%rbp\n movq $0x7008, %%r8\n movq $0x7009, %%r9\n movq $0x700a, %%r10\n movq $0x700b, %%r11\n"
		"movq $0x700c, %%r12\n movq $0x700d, %%r13\n movq $0x700e, %%r14\n movq $0x700f, %%r15\n"
		"1:\n"
		"movb $0x7f, %%al\n addb $1, %%al\n"            /* OF=1 SF=1 CF=0 ZF=0 */
		"nop\n nop\n nop\n nop\n jno 2f\n jns 2f\n jc 2f\n jz 2f\n"
		"movb $0xff, %%al\n addb $1, %%al\n"            /* OF=0 SF=0 CF=1 ZF=1 */
		"nop\n nop\n nop\n nop\n jo 2f\n js 2f\n jnc 2f\n jnz 2f\n"
		"std\n nop\n nop\n pushfq\n popq %%rax\n testq $0x400, %%rax\n jz 2f\n cld\n nop\n pushfq\n popq %%rax\n testq $0x400, %%rax\n jnz 2f\n"
		"movq $0x1111, %%rax\n nop\n nop\n nop\n cmpq $0x1111, %%rax\n jne 2f\n"
		"movq %%xmm7, %%rax\n cmpq $0x1111, %%rax\n jne 2f\n"
		"movq %%xmm8, %%rax\n cmpq $0x1111, %%rax\n jne 2f\n"
		"cmpq $0x7001, %%rbx\n jne 2f\n cmpq $0x7002, %%rcx\n jne 2f\n cmpq $0x7003, %%rdx\n jne 2f\n"
		"cmpq $0x7004, %%rsi\n jne 2f\n cmpq $0x7005, %%rdi\n jne 2f\n cmpq $0x7006, %%rbp\n jne 2f\n"
		"cmpq $0x7008, %%r8\n jne 2f\n cmpq $0x7009, %%r9\n jne 2f\n cmpq $0x700a, %%r10\n jne 2f\n"
		"cmpq $0x700b, %%r11\n jne 2f\n cmpq $0x700c, %%r12\n jne 2f\n cmpq $0x700d, %%r13\n jne 2f\n"
		"cmpq $0x700e, %%r14\n jne 2f\n cmpq $0x700f, %%r15\n jne 2f\n"
		"movq $-120, %%rax\n movq %%rbx, (%%rsp,%%rax)\n nop\n cmpq %%rbx, (%%rsp,%%rax)\n jne 2f\n" /* the red zone */
		"jmp 1b\n"
		"2: ud2\n" ::: "memory");
}

static void *spin(void *p) { registers(); return p; }

/* Gives the calling thread alone a filter. */
static void own_filter(void)
{
	struct sock_filter f = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog p = {1, &f};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p)) _exit(7);
}

/* Has a line of groups in its status that is longer than the rest together. */
static void *many_groups(void *p)
{
	static gid_t groups[65536];
	for (int i = 0; i < 65536; i++) groups[i] = 4294900000u + i;
	if (syscall(SYS_setgroups, 65536, groups)) _exit(6); /* glibc would do so in all threads */
	own_filter();
	answer();
	for (;;) pause();
	return p;
}

/* Cannot be stopped until somebody ends its child. */
static void *vforked(void *p)
{
	own_filter();
	if (vfork() == 0) for (;;) pause();
	for (;;) pause();
	return p;
}

/* Loads a filter with that answer to getppid, in this thread alone. */
static void answering(unsigned to)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, to),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {4, f};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p)) _exit(7);
}

/* Has as many instructions in filters of its own as the kernel allows. */
static void *long_chain(void *number)
{
	struct sock_filter *mine = malloc(4096 * sizeof *mine);
	for (int k = 0; k < 7; k++) {
		for (int i = 0; i < 4095; i++)
			mine[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, (long)number * 8 + k);
		mine[4095] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		struct sock_fprog p = {4096, mine};
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p)) _exit(7);
	}
	answer();
	for (;;) pause();
	return NULL;
}

static void ring(void)
{
	struct io_uring_params p = {0};
	if (syscall(SYS_io_uring_setup, 4, &p) < 0) _exit(77);
}

static void wait_in(const char *how, int ep, const sigset_t *inside)
{
	struct pollfd none = {.fd = -1};
	struct epoll_event ev;
	struct timespec ms = {.tv_nsec = 1000000};
	int r;
	errno = 0;
	if (!strcmp(how, "sigsuspend")) r = sigsuspend(inside);
	else if (!strcmp(how, "ppoll")) r = ppoll(&none, 1, NULL, inside);
	else if (!strcmp(how, "epoll")) r = epoll_pwait(ep, &ev, 1, -1, inside);
	else if (!strcmp(how, "epoll_wait")) r = epoll_wait(ep, &ev, 1, -1);
	else if (!strcmp(how, "pause")) r = pause();
	else if (!strcmp(how, "nanosleep")) { r = nanosleep(&ms, NULL); if (r == 0) return; }
	else if (!strcmp(how, "recv")) { char c; r = recv(ep, &c, 1, 0); }
	else _exit(8);
	if (r != -1 || errno != EINTR) _exit(4);
	if (!flag && !tolerant) _exit(3); /* EINTR without a signal */
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	if (*how == '+') { tolerant = 1; how++; }
	sigset_t usr1, none;
	struct sigaction sa = {.sa_handler = on_signal};
	int ep = epoll_create1(0);
	if (!strcmp(how, "registers")) {
		sa.sa_handler = on_signal_now;
		sa.sa_flags = SA_RESTART;
	}
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigaction(SIGUSR1, &sa, NULL);
	if (!strcmp(how, "sigsuspend") || !strcmp(how, "ppoll") || !strcmp(how, "epoll") || !strcmp(how, "threads") ||
	    !strcmp(how, "groups") || !strcmp(how, "diverged"))
		sigprocmask(SIG_BLOCK, &usr1, NULL); /* but while it waits */
	if (!strcmp(how, "notify")) answering(SECCOMP_RET_USER_NOTIF);
	if (!strcmp(how, "trace")) answering(SECCOMP_RET_TRACE);
	if (!strcmp(how, "log")) answering(SECCOMP_RET_LOG);
	if (!strcmp(how, "errno")) answering(SECCOMP_RET_ERRNO | ENOSYS);
	if (!strcmp(how, "ring")) ring();
	if (!strcmp(how, "chains")) {
		pthread_t t;
		for (long i = 0; i < 8; i++) pthread_create(&t, NULL, long_chain, (void *)i);
	}
	answer();
	if (!strcmp(how, "late ring")) {
		while (!flag) poll(NULL, 0, 1);
		ring();
	}
	if (*how && strstr(" notify trace log errno ring late ring chains ", how)) for (;;) poll(NULL, 0, 1000);
	if (!strcmp(how, "registers")) registers();
	if (!strcmp(how, "vfork")) { /* the parent of a vfork for a while */
		for (;;) {
			pid_t p = vfork();
			if (p == 0) { poll(NULL, 0, 20); _exit(0); }
			waitpid(p, NULL, 0);
			if (flag) { flag = 0; answer(); }
		}
	}
	if (!strcmp(how, "leaderless")) { /* the leader is a zombie, a thread lives on */
		pthread_t t;
		sa.sa_handler = on_signal_now;
		sigaction(SIGUSR1, &sa, NULL);
		pthread_create(&t, NULL, spin, NULL);
		pthread_exit(NULL);
	}
	if (!strcmp(how, "threads")) {
		pthread_t t;
		for (int i = 0; i < 8; i++) pthread_create(&t, NULL, spin, NULL);
		how = "sigsuspend";
	}
	if (!strcmp(how, "groups") || !strcmp(how, "diverged")) {
		pthread_t t;
		pthread_create(&t, NULL, *how == 'g' ? many_groups : vforked, NULL);
		how = "sigsuspend";
	}
	if (!strcmp(how, "forks")) { /* a storm of short processes, and a tree of long ones */
		for (;;) {
			pid_t p = fork();
			if (p == 0) { if (fork() == 0) poll(NULL, 0, 3); _exit(0); }
			waitpid(p, NULL, 0);
			if (flag) { flag = 0; answer(); }
		}
	}
	if (!strcmp(how, "recv")) { /* with a time limit: the kernel says EINTR itself */
		int sv[2];
		struct timeval tv = {.tv_sec = 1000};
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv)) return 8;
		setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
		ep = sv[0];
	}
	for (;;) {
		wait_in(how, ep, &none);
		if (flag) { flag = 0; answer(); }
	}
}
