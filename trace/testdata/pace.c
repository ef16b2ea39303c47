/* Makes calls at a steady rate: every millisecond so many, of the kinds that a
 * server makes. Of 64 one has a path and eight an argument whose values are
 * counted; VALUES is how many different ones there are.
 * usage: pace CALLS_A_SECOND VALUES; runs until it is killed */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const int plain[] = { SYS_getppid, SYS_getuid, SYS_getgid, SYS_geteuid, SYS_getegid, SYS_getpgid, SYS_gettid };
	long rate = argc > 1 ? atol(argv[1]) : 1000, values = argc > 2 ? atol(argv[2]) : 4;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long n = 0;;) {
		for (long i = 0; i < rate / 1000; i++, n++) {
			if (n % 64 == 0)
				access("/etc/hostname", R_OK);
			else if (n % 8 == 0)
				syscall(SYS_personality, 0xffffffff | n / 8 % values << 32); /* only asks */
			else
				syscall(plain[n % 7]);
		}
		next.tv_nsec += 1000000;
		if (next.tv_nsec >= 1000000000)
			next.tv_nsec -= 1000000000, next.tv_sec++;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}
