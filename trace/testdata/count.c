/* Makes calls at full speed in several threads, counts them itself, and prints
 * "abi number count" for each at the end: the oracle for exactness.
 * usage: count THREADS LOOPS [SECONDS]: with SECONDS, not longer than that */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Calls that libc does not make behind our back here: all harmless with zero
 * arguments. 600 exists nowhere, which does not matter to who counts. */
#ifdef __x86_64__
static const int native[] = { 24, 37, 95, 102, 104, 107, 108, 110, 111, 121, 124, 140, 600, 1023 };
/* i386 by int 0x80 from a 64-bit program: getpid getuid getppid getpgrp geteuid32 nothing */
static const int compat[] = { 20, 24, 64, 65, 201, 700 };
static const int x32[] = { 102, 104, 110 };
#else /* the numbers of newer processors; these have one ABI */
static const int native[] = { 124, 141, 155, 156, 166, 172, 173, 174, 175, 176, 177, 178, 600, 1023 };
#endif

#define N(a) (sizeof(a) / sizeof(*(a)))
enum { ABIS = 3, NR = 1024, MAXTHREADS = 64 };
static unsigned long counts[MAXTHREADS][ABIS][NR];
static long loops;
static time_t until;

#ifdef __x86_64__
static long call64(long nr)
{
	long ret;
	register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(0), "S"(0), "d"(0), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static long call32(long nr)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(0), "c"(0), "d"(0)
			 : "r8", "r9", "r10", "r11", "memory");
	return ret;
}

#else
#include <sys/syscall.h>
#define call64(nr) syscall(nr, 0, 0, 0, 0, 0, 0)
#endif

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void *work(void *arg)
{
	long me = (long)arg;
	unsigned seed = me * 2654435761u + 1;

	for (long i = 0; i < loops; i++) {
		if (until && i % 65536 == 0 && now() >= until)
			break;
		seed = seed * 1664525 + 1013904223;
		unsigned r = seed >> 16;

#ifdef __x86_64__
		if (r % 8 == 0) {
			int nr = compat[r / 8 % N(compat)];
			call32(nr);
			counts[me][1][nr]++;
		} else if (r % 8 == 1) {
			int nr = x32[r / 8 % N(x32)];
			call64(nr | 0x40000000);
			counts[me][2][nr]++;
		} else
#endif
		{
			int nr = native[r / 8 % N(native)];
			call64(nr);
			counts[me][0][nr]++;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[MAXTHREADS];
	int threads = argc > 1 ? atoi(argv[1]) : 4;

	loops = argc > 2 ? atol(argv[2]) : 1000;
	if (argc > 3)
		until = now() + atoi(argv[3]);
	if (threads < 1 || threads > MAXTHREADS)
		return 2;
	for (long i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, work, (void *)i))
			return 3;
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	for (int abi = 0; abi < ABIS; abi++)
		for (int nr = 0; nr < NR; nr++) {
			unsigned long sum = 0;

			for (int i = 0; i < threads; i++)
				sum += counts[i][abi][nr];
			if (sum)
				dprintf(1, "%d %d %lu\n", abi, nr, sum);
		}
	return 0;
}
