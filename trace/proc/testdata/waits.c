// waits HOW [WHAT]: listens on WHAT (tcp, tcp6, unix, seqpacket, none: a
// socketpair) and sleeps HOW. Prints a line when it is about to.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void need(int ok, const char *what) {
	if (!ok) {
		perror(what);
		exit(3);
	}
}

static int listener(const char *what) {
	int fd;
	if (!strcmp(what, "none")) {
		int p[2];
		need(!socketpair(AF_UNIX, SOCK_STREAM, 0, p), "socketpair");
		return p[0];
	}
	if (!strcmp(what, "unix") || !strcmp(what, "seqpacket")) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "speaker waits %d", getpid());
		fd = socket(AF_UNIX, what[0] == 'u' ? SOCK_STREAM : SOCK_SEQPACKET, 0);
		need(!bind(fd, (void *)&a, offsetof(struct sockaddr_un, sun_path) + 1 + n), "bind");
	} else if (!strcmp(what, "tcp6")) {
		struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
		fd = socket(AF_INET6, SOCK_STREAM, 0);
		need(!bind(fd, (void *)&a, sizeof a), "bind");
	} else {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		fd = socket(AF_INET, SOCK_STREAM, 0);
		need(!bind(fd, (void *)&a, sizeof a), "bind");
	}
	need(!listen(fd, 8), "listen");
	return fd;
}

static int port(int fd) {
	struct sockaddr_in6 a = {0};
	socklen_t n = sizeof a;
	if (getsockname(fd, (void *)&a, &n) || (a.sin6_family != AF_INET && a.sin6_family != AF_INET6))
		return 0;
	return ntohs(a.sin6_port);
}

static void ready(int fd) {
	printf("%d\n", port(fd));
	fflush(stdout);
}

static int epoll_of(int fd, uint32_t events) {
	int e = epoll_create1(0);
	struct epoll_event ev = {.events = events, .data.u64 = 0x1122334455667788};
	need(e >= 0 && !epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev), "epoll");
	return e;
}

static void *accepter(void *p) {
	accept(*(int *)p, 0, 0);
	return 0;
}

// private_accepter listens in a table of descriptors that no other thread shares.
static void *private_accepter(void *p) {
	need(!unshare(CLONE_FILES), "unshare");
	int fd = listener("tcp");
	ready(fd);
	accept(fd, 0, 0);
	return 0;
}

static void *polluted;

static void *poller(void *p) {
	poll(polluted, 1, -1);
	return 0;
}

// hang makes a poll set that can be read only by asking this very program,
// which never answers.
static void hang(int fd) {
	polluted = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*(struct pollfd *)polluted = (struct pollfd){.fd = fd, .events = POLLIN};
	int u = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (u < 0)
		exit(77);
	struct uffdio_api api = {.api = UFFD_API};
	need(!ioctl(u, UFFDIO_API, &api), "api");
	pthread_t t;
	pthread_create(&t, 0, poller, 0);
	usleep(100000); // the thread has read its set by then; if not, it sleeps in the fault
	struct uffdio_register r = {.range = {(uintptr_t)polluted, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	need(!ioctl(u, UFFDIO_REGISTER, &r), "register");
	need(!madvise(polluted, 4096, MADV_DONTNEED), "madvise");
	ready(fd);
	pause();
}

int main(int argc, char **argv) {
	const char *how = argv[1], *what = argc > 2 ? argv[2] : "tcp";
	struct epoll_event ev[4];
	struct pollfd p[3] = {{.fd = -1}, {.fd = 0}, {.fd = 0, .events = POLLIN}};
	fd_set set;
	FD_ZERO(&set);
	if (!strcmp(how, "private table")) {
		pthread_t t;
		pthread_create(&t, 0, private_accepter, 0);
		pthread_join(t, 0);
		return 0;
	}
	if (!strcmp(how, "netns")) {
		need(!unshare(CLONE_NEWNET), "unshare");
		need(!system("ip link set lo up 2>/dev/null || true") || 1, "ip");
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		need(!bind(fd, (void *)&a, sizeof a) && !listen(fd, 1), "listen");
		ready(fd);
		accept(fd, 0, 0);
		return 0;
	}
	int fd = listener(what);
	p[2].fd = fd;
	FD_SET(fd, &set);
	if (!strcmp(how, "hang"))
		hang(fd);
	if (!strcmp(how, "large set")) {
		// More than a page, and more than 64 KiB, of other files in the set.
		struct rlimit l = {8192, 8192};
		setrlimit(RLIMIT_NOFILE, &l);
		int e = epoll_create1(0);
		for (int i = 0; i < 3000; i++) {
			struct epoll_event v = {.events = EPOLLIN};
			need(!epoll_ctl(e, EPOLL_CTL_ADD, eventfd(0, 0), &v), "epoll_ctl");
		}
		struct epoll_event v = {.events = EPOLLIN};
		int last = dup2(fd, 8000);
		close(fd);
		need(!epoll_ctl(e, EPOLL_CTL_ADD, last, &v), "epoll_ctl");
		ready(last);
		epoll_wait(e, ev, 4, -1);
	}
	if (!strcmp(how, "dead leader")) {
		pthread_t t;
		static int arg;
		arg = fd;
		pthread_create(&t, 0, accepter, &arg);
		ready(fd);
		pthread_exit(0);
	}
	if (!strcmp(how, "moved")) { // the set holds the socket under a number that means another file now
		int e = epoll_of(fd, EPOLLIN);
		int keep = dup(fd);
		dup2(0, fd);
		ready(keep);
		epoll_wait(e, ev, 4, -1);
	}
	if (!strcmp(how, "reused")) { // and the other way round: the number means the socket now
		int other = eventfd(0, 0), e = epoll_of(other, EPOLLIN), keep = dup(other);
		dup2(fd, other);
		(void)keep;
		ready(fd);
		epoll_wait(e, ev, 4, -1);
	}
	ready(fd);
	if (!strcmp(how, "accept"))
		accept(fd, 0, 0);
	else if (!strcmp(how, "accept4"))
		accept4(fd, 0, 0, SOCK_CLOEXEC);
	else if (!strcmp(how, "epoll_wait"))
		syscall(SYS_epoll_wait, epoll_of(fd, EPOLLIN | EPOLLET), ev, 4, -1);
	else if (!strcmp(how, "epoll_pwait"))
		syscall(SYS_epoll_pwait, epoll_of(fd, EPOLLIN | EPOLLEXCLUSIVE), ev, 4, -1, 0, 8);
	else if (!strcmp(how, "epoll_pwait2"))
		syscall(441, epoll_of(fd, EPOLLIN), ev, 4, 0, 0, 8);
	else if (!strcmp(how, "nested"))
		syscall(SYS_epoll_wait, epoll_of(epoll_of(fd, EPOLLIN), EPOLLIN), ev, 4, -1);
	else if (!strcmp(how, "nested twice"))
		syscall(SYS_epoll_wait, epoll_of(epoll_of(epoll_of(fd, EPOLLIN), EPOLLIN), EPOLLIN), ev, 4, -1);
	else if (!strcmp(how, "unready set")) // as nginx's workers without the accept mutex
		syscall(SYS_epoll_wait, epoll_of(fd, 0), ev, 4, -1);
	else if (!strcmp(how, "poll"))
		syscall(SYS_poll, p, 3, -1);
	else if (!strcmp(how, "ppoll"))
		syscall(SYS_ppoll, p, 3, 0, 0, 8);
	else if (!strcmp(how, "poll to write")) {
		p[2].events = POLLPRI;
		syscall(SYS_poll, p, 3, -1);
	} else if (!strcmp(how, "select"))
		syscall(SYS_select, fd + 1, &set, 0, 0, 0);
	else if (!strcmp(how, "pselect6"))
		syscall(SYS_pselect6, fd + 1, &set, 0, 0, 0, 0);
	else if (!strcmp(how, "select to write")) {
		int e = eventfd(0, 0);
		fd_set in, except = set;
		FD_ZERO(&in);
		FD_SET(e, &in);
		syscall(SYS_select, 64, &in, 0, &except, 0);
	} else if (!strcmp(how, "bad pointer"))
		for (;;) {
			syscall(SYS_poll, (void *)8, 3, 5);
			syscall(SYS_poll, 0, 0, 5);
		}
	else if (!strcmp(how, "pause"))
		pause();
	return 0;
}
