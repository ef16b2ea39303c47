// ask loads a seccomp program and asks the kernel what it makes of some calls.
//
// stdin:  uint32 n, n instructions, uint32 m, m questions {uint32 abi, uint32 nr}
// stdout: m times int32: what the call returned (-errno when it failed)
//
// abi is policy.ABI: 1 goes through int 0x80, the others through syscall. All
// arguments are 0. The kernel's answers, not its guesses: the program loads the
// filter last of all and then makes no call but those it is asked for, one write
// and one exit_group.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long native(long nr) {
	long ret;
	register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(0L), "S"(0L), "d"(0L), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static long i386(long nr) {
	long ret;
	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(nr), "b"(0L), "c"(0L), "d"(0L), "S"(0L), "D"(0L)
			 : "r8", "r9", "r10", "r11", "memory");
	return (int32_t)ret;
}

static void get(void *to, size_t n) {
	for (char *p = to; n > 0;) {
		ssize_t got = read(0, p, n);
		if (got <= 0)
			_exit(2);
		p += got;
		n -= got;
	}
}

int main(void) {
	uint32_t n, m;
	get(&n, sizeof n);
	struct sock_filter *insns = calloc(n, sizeof *insns);
	get(insns, n * sizeof *insns);
	get(&m, sizeof m);
	uint32_t(*ask)[2] = calloc(m, sizeof *ask);
	get(ask, m * sizeof *ask);
	int32_t *answers = calloc(m, sizeof *answers);

	struct sock_fprog prog = {n, insns};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(3);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		_exit(4);
	for (uint32_t i = 0; i < m; i++)
		answers[i] = ask[i][0] == 1 ? i386(ask[i][1]) : native(ask[i][1]);

	size_t size = m * sizeof *answers;
	long put = syscall(SYS_write, 1, answers, size);
	syscall(SYS_exit_group, put == (long)size ? 0 : 5);
}
