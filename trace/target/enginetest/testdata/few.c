// few [SECONDS]: seven getppid, and then waits.
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 0; i < 7; i++)
		getppid();
	if (argc > 1)
		sleep(atoi(argv[1]));
	return 0;
}
