/* An attacker inside a target: attacker DIR. It makes a directory while that is
 * allowed, then waits for DIR/held (the keeper's pid and the path of its socket)
 * and tries to get at the keeper, and for DIR/sealed and tries to get rid of
 * the filter. Each attempt is a process of its own and one line of DIR/report:
 *
 *	stage attempt what-it-got effect-in-it effect-in-its-child
 *
 * An effect is "made" when the removed call worked, else "denied". */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static char *dir, *low; /* low: memory that 32-bit calls reach */
static int report, keeper;
static char door[108];
static const char *stage = "boot";

static void file(char *path, const char *name) { snprintf(path, 4096, "%s/%s", dir, name); }

/* Tries the removed call in all its forms, and looks for what it would have made. */
static const char *effect(void)
{
	struct stat st;
	long r;
	snprintf(low, 4096, "%s/made", dir);
	syscall(SYS_mkdir, low, 0700);
	syscall(SYS_mkdirat, AT_FDCWD, low, 0700);
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(39L), "b"(low), "c"(0700L) : "memory", "r8", "r9", "r10", "r11");
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(296L), "b"((long)AT_FDCWD), "c"(low), "d"(0700L) : "memory", "r8", "r9", "r10", "r11");
	syscall(0x40000000 | SYS_mkdir, low, 0700);
	if (stat(low, &st)) return "denied";
	rmdir(low);
	return "made";
}

static const char *named(long r)
{
	static char text[32];
	if (r != -1) snprintf(text, sizeof text, "got-%ld", r);
	else snprintf(text, sizeof text, "%s", strerrorname_np(errno) ? strerrorname_np(errno) : "error");
	return text;
}

/* Writes the line of an attempt, from whatever process it ended in. */
static void tell(const char *attempt, const char *got)
{
	char line[256], kept[64];
	int p[2];
	char child[16] = {0};
	snprintf(kept, sizeof kept, "%s", got);
	if (pipe(p)) _exit(1);
	pid_t pid = fork();
	if (pid == 0) {
		const char *e = effect();
		_exit(write(p[1], e, strlen(e)) < 0);
	}
	if (pid < 0 || read(p[0], child, sizeof child - 1) <= 0) strcpy(child, "lost");
	waitpid(pid, NULL, 0);
	int n = snprintf(line, sizeof line, "%s %s %s %s %s\n", stage, attempt, kept, effect(), child);
	if (write(report, line, n) != n) _exit(1);
}

static struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_filter notify[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_fprog allowing = {1, allow}, notifying = {4, notify};

static void plain(void) { tell("plain", "-"); }
static void by_seccomp(void) { tell("seccomp", named(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &allowing))); }
static void by_prctl(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	tell("prctl", named(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &allowing, 0, 0)));
}
static void by_off(void) { tell("off", named(prctl(PR_SET_SECCOMP, SECCOMP_MODE_DISABLED, 0, 0, 0))); }
static void by_listener(void)
{
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &notifying);
	if (fd >= 0) close(fd); /* or our own calls would wait for us */
	tell("listener", named(fd));
}
static void by_namespace(void) { tell("namespace", named(unshare(CLONE_NEWUSER))); }
static void by_exec(void)
{
	execl("/proc/self/exe", "attacker", dir, stage, "exec", NULL);
	tell("exec", named(-1));
}
static void by_memfd(void)
{
	int in = open("/proc/self/exe", O_RDONLY), out = syscall(SYS_memfd_create, "x", 0);
	char *argv[] = {"attacker", dir, (char *)stage, "memfd", NULL}, *env[] = {NULL};
	while (sendfile(out, in, NULL, 1 << 20) > 0) {}
	syscall(SYS_execveat, out, "", argv, env, AT_EMPTY_PATH);
	tell("memfd", named(-1));
}
static void by_ring(void)
{
	struct io_uring_params p = {0};
	tell("ring", named(syscall(SYS_io_uring_setup, 4, &p)));
}

static void *thread(void *got) { *(const char **)got = effect(); return NULL; }
static void by_thread(void)
{
	pthread_t t;
	const char *got = "none";
	if (!pthread_create(&t, NULL, thread, &got)) pthread_join(t, NULL);
	tell("thread", got);
}

/* A child that stops, and then goes on to its end or makes a call to be changed. */
static pid_t stopping(int traceme)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (traceme) ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		syscall(SYS_getppid);
		_exit(!strcmp(effect(), "made"));
	}
	waitpid(pid, NULL, WUNTRACED);
	return pid;
}

/* Has the kernel suspend the filter of a child that it traces. */
static void by_suspend(void)
{
	pid_t pid = stopping(0);
	long r = ptrace(PTRACE_SEIZE, pid, 0, 1 << 21 /* PTRACE_O_SUSPEND_SECCOMP */);
	char got[32];
	int st = 0;
	snprintf(got, sizeof got, "%s", named(r));
	kill(pid, SIGCONT);
	while (waitpid(pid, &st, 0) == pid && !WIFEXITED(st)) ptrace(PTRACE_CONT, pid, 0, 0);
	tell("suspend", WIFEXITED(st) && WEXITSTATUS(st) == 0 ? got : "MADE");
}

/* Changes a harmless call of a child into the removed one, after it was begun. */
static void by_rewrite(void)
{
	struct user_regs_struct regs;
	struct stat st;
	int changed = 0, status;
	snprintf(low, 4096, "%s/rewritten", dir);
	pid_t pid = stopping(1);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (int i = 0; i < 1000 && !changed; i++) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, 0) || waitpid(pid, &status, 0) != pid || WIFEXITED(status)) break;
		if (ptrace(PTRACE_GETREGS, pid, 0, &regs) || regs.orig_rax != SYS_getppid) continue;
		regs.orig_rax = SYS_mkdir, regs.rdi = (unsigned long)low, regs.rsi = 0700;
		changed = !ptrace(PTRACE_SETREGS, pid, 0, &regs);
	}
	if (changed) { ptrace(PTRACE_SYSCALL, pid, 0, 0); waitpid(pid, &status, 0); }
	const char *got = !changed ? "unchanged" : stat(low, &st) ? "changed" : "MADE";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tell("rewrite", got);
}

/* Gets at the keeper. */
static void by_connect(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval two = {2, 0};
	char reply[64];
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(a.sun_path, door);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof two);
	if (connect(s, (void *)&a, sizeof a)) { tell("connect", named(-1)); return; }
	const char ask[] = "{\"Op\":\"allow\"}\n";
	if (send(s, ask, sizeof ask - 1, MSG_NOSIGNAL) < 0) { tell("connect", "closed"); return; }
	tell("connect", recv(s, reply, sizeof reply, 0) > 0 ? "ANSWERED" : "closed");
}
static void by_fd(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/fd", keeper);
	DIR *d = opendir(path);
	long r = -1;
	if (d) {
		for (struct dirent *e; (e = readdir(d)) && r < 0;)
			if (e->d_name[0] != '.') r = openat(dirfd(d), e->d_name, O_RDWR);
		errno = EACCES;
	}
	tell("fd", named(r));
}
static void by_mem(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mem", keeper);
	tell("mem", named(open(path, O_RDWR)));
}
static void by_pidfd(void)
{
	long p = syscall(SYS_pidfd_open, keeper, 0), r = -1;
	for (int fd = 3; p >= 0 && fd < 256 && r < 0; fd++) r = syscall(SYS_pidfd_getfd, p, fd, 0);
	tell("pidfd", named(r));
}
static void by_ptrace(void) { tell("ptrace", named(ptrace(PTRACE_SEIZE, keeper, 0, 0))); }

/* Stops the keeper, which goes on by itself: until then our calls wait. */
static void by_stop(void) { tell("stop", named(kill(keeper, SIGSTOP))); }

/* Looks for a listener in every process that it sees. */
static void by_search(void)
{
	char path[600], to[64];
	int found = 0;
	DIR *procs = opendir("/proc");
	for (struct dirent *e; procs && (e = readdir(procs));) {
		snprintf(path, sizeof path, "/proc/%s/fd", e->d_name);
		DIR *d = atoi(e->d_name) > 0 ? opendir(path) : NULL;
		for (struct dirent *f; d && (f = readdir(d));) {
			ssize_t n = readlinkat(dirfd(d), f->d_name, to, sizeof to - 1);
			if (n > 0) { to[n] = 0; found += strstr(to, "seccomp notify") != NULL; }
		}
		if (d) closedir(d);
	}
	tell("search", found ? "FOUND" : "none");
}

static void (*const held[])(void) = {plain, by_connect, by_fd, by_mem, by_pidfd, by_ptrace, by_stop, by_search, by_seccomp, by_listener, by_prctl, NULL};
static void (*const sealed[])(void) = {plain, by_seccomp, by_prctl, by_off, by_listener, by_namespace, by_exec, by_memfd, by_ring,
	by_thread, by_suspend, by_rewrite, by_search, NULL};

static void all(const char *name, void (*const attempts[])(void))
{
	stage = name;
	for (int i = 0; attempts[i]; i++) {
		pid_t pid = fork();
		if (pid == 0) { attempts[i](); _exit(0); }
		waitpid(pid, NULL, 0);
	}
	dprintf(report, "%s end\n", name);
}

/* Waits for a file of the test's, and reads what it says of the keeper. */
static void await(const char *name)
{
	char path[4096];
	file(path, name);
	for (;; usleep(2000)) {
		FILE *f = fopen(path, "r");
		if (!f) continue;
		int n = fscanf(f, "%d %107s", &keeper, door);
		fclose(f);
		if (n == 2) return;
	}
}

int main(int argc, char **argv)
{
	char path[4096];
	if (argc < 2) return 2;
	dir = argv[1];
	low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	file(path, "report");
	report = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (low == MAP_FAILED || report < 0) return 1;
	if (argc == 4) { /* after an exec */
		stage = argv[2];
		tell(argv[3], "-");
		return 0;
	}
	plain();
	await("held");
	all("held", held);
	await("sealed");
	all("sealed", sealed);
	for (;;) pause();
}
