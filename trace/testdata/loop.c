/* Makes the same call at full speed, on one CPU, and prints what one took.
 * usage: loop CPU CALLS ROUNDS [getppid|personality|socket]
 * Prints the nanoseconds of a call in the fastest of the rounds: what disturbs a
 * round can only lengthen it. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	int cpu = argc > 1 ? atoi(argv[1]) : 0, rounds = argc > 3 ? atoi(argv[3]) : 10;
	long calls = argc > 2 ? atol(argv[2]) : 100000, nr = SYS_getppid, arg = 0;
	double best = 1e18;
	cpu_set_t set;

	if (argc > 4 && !strcmp(argv[4], "personality"))
		nr = SYS_personality, arg = 0xffffffff; /* only asks */
	if (argc > 4 && !strcmp(argv[4], "socket"))
		nr = SYS_socket, arg = -1; /* there is no such domain */
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return 1;
	for (int r = 0; r < rounds; r++) {
		double begin = now();

		for (long i = 0; i < calls; i++)
			syscall(nr, arg, 0, 0);
		double took = (now() - begin) / calls;
		if (took < best)
			best = took;
	}
	printf("%.2f\n", best);
	return 0;
}
