/* A storm of processes: each child makes three getppid, every fifth executes
 * this program again, which makes five getuid; half are made by vfork.
 * usage: forks CHILDREN, or forks child */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child")) {
		for (int i = 0; i < 5; i++)
			syscall(SYS_getuid);
		return 0;
	}
	int n = argc > 1 ? atoi(argv[1]) : 100;

	for (int i = 0; i < n; i++) {
		pid_t pid = i % 5 == 0 ? vfork() : fork();

		if (pid < 0)
			return 2;
		if (pid == 0 && i % 5 == 0) {
			execl(argv[0], argv[0], "child", (char *)NULL);
			_exit(3);
		}
		if (pid == 0) {
			for (int j = 0; j < 3; j++)
				syscall(SYS_getppid);
			_exit(0);
		}
		if (i % 16 == 15)
			while (waitpid(-1, NULL, 0) > 0)
				;
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}
