/* gate FIFO PROGRAM ARGS...: waits until somebody opens the fifo for writing,
 * then becomes the program. It makes two calls, open and execve, and has no libc
 * that would make more. */
#include <asm/unistd.h>
#include <linux/fcntl.h>

static long call(long nr, const void *a, const void *b, const void *c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

__attribute__((used)) static void run(long *sp)
{
	char **argv = (char **)(sp + 1), **env = argv + sp[0] + 1;

	if (call(__NR_open, argv[1], (void *)(O_RDONLY | O_CLOEXEC), 0) >= 0)
		call(__NR_execve, argv[2], argv + 2, env);
	call(__NR_exit_group, (void *)1, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall run\n");
