/* Makes the same call at full speed, on one CPU, and prints what one took.
 * usage: loop CPU [CALLS ROUNDS [getppid|personality|socket|bind]]
 * Prints the nanoseconds of a call in the fastest of the rounds: what disturbs a
 * round can only lengthen it. With the CPU alone, each line of stdin says the rest. */
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

static void loop(long calls, int rounds, const char *name)
{
	long nr = SYS_getppid, arg = 0;
	double best = 1e18;

	if (!strcmp(name, "personality"))
		nr = SYS_personality, arg = 0xffffffff; /* only asks */
	if (!strcmp(name, "socket"))
		nr = SYS_socket, arg = -1; /* there is no such domain */
	if (!strcmp(name, "bind"))
		nr = SYS_bind, arg = -1; /* there is no such file */
	for (int r = 0; r < rounds; r++) {
		double begin = now();

		for (long i = 0; i < calls; i++)
			syscall(nr, arg, 0, 0);
		double took = (now() - begin) / calls;
		if (took < best)
			best = took;
	}
	printf("%.2f\n", best);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char name[16] = "getppid";
	long calls = argc > 2 ? atol(argv[2]) : 0;
	int cpu = argc > 1 ? atoi(argv[1]) : 0, rounds = argc > 3 ? atoi(argv[3]) : 10;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return 1;
	if (calls)
		loop(calls, rounds, argc > 4 ? argv[4] : name);
	else
		while (scanf("%ld %d %15s", &calls, &rounds, name) == 3)
			loop(calls, rounds, name);
	return 0;
}
