/* Has many threads before it is watched, and a few that begin later; each makes ten
 * calls once a line comes on standard input.
 * usage: crowd THREADS LATER */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_barrier_t go;

static void *early(void *arg)
{
	pthread_barrier_wait(&go);
	for (int i = 0; i < 10; i++)
		syscall(SYS_getppid);
	return arg;
}

int main(int argc, char **argv)
{
	int n = atoi(argv[1]), later = atoi(argv[2]);
	pthread_t *t = calloc(n + later, sizeof(*t));
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	pthread_barrier_init(&go, NULL, n + later + 1);
	for (int i = 0; i < n; i++)
		if (pthread_create(&t[i], &small, early, NULL))
			return 1;
	puts("ready");
	fflush(stdout);
	getchar();
	for (int i = n; i < n + later; i++)
		if (pthread_create(&t[i], &small, early, NULL))
			return 1;
	early(NULL);
	for (int i = 0; i < n + later; i++)
		pthread_join(t[i], NULL);
	return 0;
}
