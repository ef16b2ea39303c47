/* Sleeping calls that signals interrupt: with SA_RESTART, without, and those
 * that the kernel resumes by restart_syscall. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int fds[2];
static void nothing(int sig) { (void)sig; }

static void *sleeper(void *arg)
{
	struct timespec t = { 0, 20000000 };
	struct pollfd p = { fds[0], POLLIN, 0 };
	char c;

	for (int i = 0; i < 20; i++) {
		nanosleep(&t, NULL);
		poll(&p, 1, 5);
	}
	read(fds[0], &c, 1);
	return arg;
}

/* A stop and a SIGCONT make the kernel resume sleeps by restart_syscall. */
static void stop_for_a_moment(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		kill(getppid(), SIGSTOP);
		usleep(2000);
		kill(getppid(), SIGCONT);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 1500 }, { 0, 1500 } }, off = { 0 };
	pthread_t t;

	if (pipe(fds))
		return 2;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	pthread_create(&t, NULL, sleeper, NULL);
	for (int i = 0; i < 40; i++) {
		struct timespec ts = { 0, 10000000 };

		nanosleep(&ts, NULL);
		if (i % 8 == 7)
			stop_for_a_moment();
	}
	setitimer(ITIMER_REAL, &off, NULL);
	if (write(fds[1], "x", 1) != 1)
		return 3;
	pthread_join(t, NULL);
	return 0;
}
