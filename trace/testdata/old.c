/* A 32-bit program without libc, for few machines have a 32-bit one: calls that
 * only i386 has, some by other ways than their 64-bit kin, with signals, a
 * thread, children by fork, vfork and clone, and an exec of itself.
 * usage: old, or old child */

/* By hand, as the headers that have them are not found by cc -m32 without a
 * 32-bit libc. */
enum {
	EXIT = 1, FORK, OPEN = 5, WAITPID = 7, EXECVE = 11, TIME = 13, GETPID = 20, GETUID = 24, KILL = 37,
	SIGACTION = 67, MMAP = 90, SOCKETCALL = 102, CLONE = 120, LLSEEK = 140, SCHED_YIELD = 158, VFORK = 190,
	MMAP2 = 192, GETUID32 = 199, GETTID = 224, EXIT_GROUP = 252, SOCKETPAIR = 360, CLOCK_GETTIME64 = 403,
	NOTHING = 600,
};
enum { USR1 = 10, RESTART = 0x10000000 };
enum { SHARED = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 }; /* what threads share: VM to SYSVSEM */

static long call(long nr, long a, long b, long c, long d, long e)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return ret;
}


static volatile int signals;
static void on_signal(int sig) { signals += sig; }

/* By hand: the child has the parent's stack, so nothing in it may return. */
static long vforked(void)
{
	long pid;

	__asm__ volatile("int $0x80\n\ttest %0, %0\n\tjnz 1f\n\t"
			 "mov %2, %%eax\n\tint $0x80\n\t"
			 "mov %3, %%eax\n\tint $0x80\n1:"
			 : "=a"(pid) : "0"(VFORK), "i"(GETPID), "i"(EXIT_GROUP), "b"(0) : "memory");
	return pid;
}

static char stack[4096] __attribute__((aligned(16)));
__attribute__((used)) static volatile int thread_done;

static void thread(void)
{
	long ret;

	__asm__ volatile("int $0x80\n\ttest %0, %0\n\tjnz 1f\n\t"
			 "mov %2, %%eax\n\tint $0x80\n\t"
			 "mov %3, %%eax\n\tint $0x80\n\t"
			 "movl $1, thread_done\n\t"
			 "xor %%ebx, %%ebx\n\tmov %4, %%eax\n\tint $0x80\n1:"
			 : "=a"(ret) : "0"(CLONE), "i"(GETTID), "i"(GETUID), "i"(EXIT),
			   "b"(SHARED), "c"(stack + sizeof(stack)), "d"(0), "S"(0), "D"(0) : "memory");
	while (ret > 0 && !thread_done)
		call(SCHED_YIELD, 0, 0, 0, 0, 0);
}

__attribute__((used)) static void run(long *sp)
{
	char **argv = (char **)(sp + 1), **env = argv + sp[0] + 1;
	long block[6] = { 0, 4096, 3, 0x22, -1, 0 }, pair[2], pid;
	char *child[] = { argv[0], "child", 0 }, c = 0;
	/* The kernel's old sigaction: handler, mask, flags, restorer. */
	long action[4] = { (long)on_signal, 0, RESTART, 0 };

	if (sp[0] > 1) {
		for (int i = 0; i < 5; i++)
			call(GETUID, 0, 0, 0, 0, 0);
		call(EXIT_GROUP, 0, 0, 0, 0, 0);
	}
	call(GETUID32, 0, 0, 0, 0, 0);
	call(MMAP, (long)block, 0, 0, 0, 0); /* the one that takes a block */
	call(MMAP2, 0, 4096, 3, 0x22, -1);
	call(TIME, 0, 0, 0, 0, 0);
	call(OPEN, (long)"/", 0, 0, 0, 0);
	call(LLSEEK, 0, 0, 0, (long)block, 0);
	block[0] = 1, block[1] = 1, block[2] = 0, block[3] = (long)pair;
	call(SOCKETCALL, 8 /* socketpair */, (long)block, 0, 0, 0);
	block[0] = pair[0], block[1] = (long)&c, block[2] = 1, block[3] = 0;
	call(SOCKETCALL, 9 /* send */, (long)block, 0, 0, 0);
	call(SOCKETPAIR, 1, 1, 0, (long)pair, 0);
	call(SIGACTION, USR1, (long)action, 0, 0, 0);
	for (int i = 0; i < 3; i++)
		call(KILL, call(GETPID, 0, 0, 0, 0, 0), USR1, 0, 0, 0);
	thread();
	for (int i = 0; i < 8; i++) {
		pid = i % 2 ? vforked() : call(FORK, 0, 0, 0, 0, 0);
		if (pid == 0) {
			if (i % 4 == 0)
				call(EXECVE, (long)argv[0], (long)child, (long)env, 0, 0);
			call(EXIT, 0, 0, 0, 0, 0);
		}
		call(WAITPID, pid, 0, 0, 0, 0);
	}
	call(CLOCK_GETTIME64, 1, (long)block, 0, 0, 0);
	call(NOTHING, 0, 0, 0, 0, 0);
	call(EXIT_GROUP, signals != 3 * USR1, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n\tpush %eax\n\tcall run\n");
