// probe makes the system calls whose numbers are its arguments, each with all
// arguments 0, and prints a line "number errno" for each ("number 0" when it
// succeeded). It is meant to run where all of them are refused.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *put(char *to, long n) {
	char digits[20];
	int i = 0;
	do
		digits[i++] = '0' + n % 10;
	while ((n /= 10) > 0);
	while (i > 0)
		*to++ = digits[--i];
	return to;
}

int main(int argc, char **argv) {
	char *out = malloc(argc * 32 + 1), *end = out;
	for (int i = 1; i < argc; i++) {
		long nr = atol(argv[i]);
		errno = 0;
		long ret = syscall(nr, 0, 0, 0, 0, 0, 0);
		end = put(end, nr);
		*end++ = ' ';
		end = put(end, ret == -1 ? errno : 0);
		*end++ = '\n';
	}
	for (char *p = out; p < end;) {
		ssize_t n = write(1, p, end - p);
		if (n <= 0)
			_exit(1);
		p += n;
	}
	_exit(0);
}
