// waits386 HOW: as waits, by i386 calls, with no libc: few machines have one.
typedef unsigned int u32;
struct addr { unsigned short family, port; u32 ip; char zero[8]; };

static long call(long nr, long a, long b, long c, long d, long e) {
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "0"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return r;
}

static int same(const char *a, const char *b) {
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void run(const char *how) {
	struct addr a = {.family = 2};
	long fd = call(359, 2, 1, 0, 0, 0);
	call(361, fd, (long)&a, sizeof a, 0, 0);
	call(363, fd, 8, 0, 0, 0);
	call(4, 1, (long)"0\n", 2, 0, 0);
	long block[5] = {fd, 0, 0, 0, 0};
	u32 set[32] = {0};
	set[fd / 32] |= 1u << fd % 32;
	struct { int fd; short events, revents; } p = {fd, 1, 0};
	struct { u32 events; u32 data[2]; } __attribute__((packed)) ev = {1, {0, 0}};
	if (same(how, "accept4"))
		call(364, fd, 0, 0, 0, 0);
	else if (same(how, "socketcall"))
		call(102, 5, (long)block, 0, 0, 0);
	else if (same(how, "poll"))
		call(168, (long)&p, 1, -1, 0, 0);
	else if (same(how, "select"))
		call(142, fd + 1, (long)set, 0, 0, 0);
	else if (same(how, "old select")) {
		long args[5] = {fd + 1, (long)set, 0, 0, 0};
		call(82, (long)args, 0, 0, 0, 0);
	} else if (same(how, "epoll_wait")) {
		long e = call(329, 0, 0, 0, 0, 0);
		call(255, e, 1, fd, (long)&ev, 0);
		call(256, e, (long)&ev, 1, -1, 0);
	}
	call(1, 0, 0, 0, 0, 0);
}

__attribute__((used)) static void start(long *sp) { run((const char *)sp[2]); }

__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tpush %eax\n\tcall start\n");
