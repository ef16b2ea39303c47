//go:build ignore

/*
 * The kernel's half of the tracer.
 *
 * Two rules shape it. The first: every process of the host pays for sys_enter
 * (about 80 ns even if it does nothing), so the way out for a process that is
 * not watched is one array lookup by its pid. Whether a process is watched is
 * therefore decided elsewhere, in the rare events (fork, exec, exit, a move
 * between cgroups), and left for sys_enter in slots[pid].
 *
 * The second: what is counted is exact. Counters are per CPU and in two halves.
 * User space flips the half, waits until no program that began before still
 * runs (all of them run under rcu_read_lock), and then owns the old half alone.
 * No event needs to survive for the counts; the ring buffers are for eyes and
 * for marks, and what they drop is counted.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "GPL";

#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))

enum { NR = 1024, ABIS = 3, GROUPS = 3, SLOTS = 16384, PATH = 256, LEAF = 128 };

enum abi { X86_64, I386, X32 };
enum group { INIT, MAINLY, EXECED };

/* What a process is to the target. */
enum state {
	OUT,
	RUNTIME,      /* came from outside, the program has not begun: the container runtime */
	MAIN,         /* the program and all that it starts */
	RUNTIME_EXEC, /* came from outside later (docker exec), before its own exec */
	EXEC,         /* and after it */
};

/* Where a thread is, as far as denials are watched. */
enum { UNKNOWN, ENTERED, LEFT };

/* Same values as EventKind in types.go. */
enum event_kind {
	FORK = 1, EXECUTED, EXIT, LISTEN, ACCEPT, WAIT, BIND, SECCOMP,
	SIGNAL, ENTER, LEAVE, URING,
	SOCKETCALL = 14, /* not sent: i386 socketcall, decoded by its first argument */
	PRCTL = 15,      /* not sent: seccomp if its first argument says so */
};

/* ---- constants, set before loading; the verifier drops what they exclude ---- */

const volatile u32 ncpu;         /* possible CPUs */
const volatile s32 subsys = -1;  /* index of the v1 controller whose hierarchy decides; -1: v2 */
const volatile u32 hierarchy;    /* that hierarchy's number in /proc/cgroups; 0: v2 */
const volatile u32 root_pid;     /* not 0: the target is this process' tree, not a cgroup */
const volatile bool any_exec;    /* the first exec is the program, whatever its mount namespace */
const volatile u32 window_ns = 50000000;
const volatile u32 window_samples = 100;
/* What to do with a call besides counting it: an event_kind << 4 | 1 + index of its path argument. */
const volatile u8 class[ABIS][NR];

/* ---- maps ---- */

/* One per pid number. state and told belong to the process whose leader has the
 * number, call to the thread that has it. */
struct slot {
	u8 state;
	u8 call;
	u16 told; /* bit per event kind that was told once */
};

struct chunk {
	struct slot slot[SLOTS];
};

/* Array elements are padded to 8 bytes, so many slots share one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* grown to pid_max */
	__type(key, u32);
	__type(value, struct chunk);
} slots SEC(".maps");

struct cell {
	u64 count, first, last;
};

struct block {
	u64 used;
	struct cell cell[NR];
};

/* [half][cpu][group][abi] */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* grown to the number of CPUs */
	__type(key, u32);
	__type(value, struct block);
} table SEC(".maps");

/* Per CPU, a cache line each. All but the window only ever grow. */
struct cpu {
	u64 window_start, window_used; /* the sample rate limit */
	u64 skipped, dropped;          /* samples */
	u64 events_dropped, rows_dropped;
	u64 lost; /* calls that no cell could take */
	u64 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* grown to the number of CPUs */
	__type(key, u32);
	__type(value, struct cpu);
} cpus SEC(".maps");

struct control {
	u32 epoch;    /* bit 0 is the half that is written to */
	u32 judging;  /* count the calls that allow[] does not have */
	u32 watching; /* keep slot.call, for sys_exit */
	u32 newcomer; /* the state of a process that comes from outside */
	u64 seeded;   /* processes that were in the target already */
	u64 taken_at; /* when the first armed name was met */
	u32 taken;    /* and whose it was: the others' names no longer count */
	u32 unused;
	u8 allow[ABIS][NR];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} controls SEC(".maps");

/* Ids of the target's cgroups, nested ones included. They are unique within a
 * hierarchy only, so nothing of another hierarchy may be looked up here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, u8);
} cgroups SEC(".maps");

struct leaf {
	u8 name[LEAF];
};

/* Names of cgroups which become the target as soon as they are made. The value
 * says whose name it is, not 0: one container has several that it may get. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct leaf);
	__type(value, u32);
} armed SEC(".maps");

/* For processes in a RUNTIME state: the mount namespace of whoever let them in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, u32);
} entered SEC(".maps");

struct row_key {
	u32 pid, nr, abi;
	s32 error;
};

struct row {
	u64 count, first, last;
	u8 comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct row_key);
	__type(value, struct row);
} judged SEC(".maps"), denied SEC(".maps");

struct sample {
	u64 time;
	u32 pid, tid;
	u32 nr;
	u8 group, abi, unused[2];
	u64 args[6];
	u8 comm[16];
	u8 path[PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* grown with the sample rate */
} samples SEC(".maps");

struct event {
	u64 time;
	u32 pid, tid;
	u8 kind, group, unused[6];
	u64 args[2];
	u8 comm[16];
};

struct exec_event {
	struct event event;
	u8 path[PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* For bpf2go: rings carry no type. */
const struct sample *sample_type __attribute__((unused));
const struct event *event_type __attribute__((unused));
const struct exec_event *exec_event_type __attribute__((unused));

/* ---- small readers ---- */

static __always_inline struct slot *slot_of(u32 pid)
{
	u32 number = pid / SLOTS;
	struct chunk *c = bpf_map_lookup_elem(&slots, &number);

	return c ? &c->slot[pid % SLOTS] : NULL;
}

static __always_inline struct control *control(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&controls, &zero);
}

static __always_inline struct cpu *this_cpu(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

static __always_inline u8 group_of(u8 state)
{
	return state == MAIN ? MAINLY : state == EXEC ? EXECED : INIT;
}

static __always_inline bool is_runtime(u8 state)
{
	return state == RUNTIME || state == RUNTIME_EXEC;
}

static __always_inline u32 mount_ns(struct task_struct *task)
{
	struct nsproxy *ns = task->nsproxy;

	return ns ? ns->mnt_ns->ns.inum : 0; /* an exiting task has none */
}

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

static __always_inline u32 current_mount_ns(void)
{
	return BPF_CORE_READ(current_task(), nsproxy, mnt_ns, ns.inum);
}

/* True in an int 0x80 call, of a 32-bit program or of a 64-bit one. */
static __always_inline bool is_compat(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id___ask, BPF_FUNC_get_current_task_btf___ask)) {
		struct task_struct *task = bpf_get_current_task_btf();

		return task->thread_info.status & 2;
	}
	return BPF_CORE_READ(current_task(), thread_info.status) & 2;
}

static __always_inline bool is_traced(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id___ask, BPF_FUNC_get_current_task_btf___ask))
		return bpf_get_current_task_btf()->ptrace;
	return BPF_CORE_READ(current_task(), ptrace);
}

/* True while our own injector makes the thread call something: that is none of
 * the program's doing and must not get into its sets. Known by its name, so a
 * target could hide its calls by naming a debugger of its own so; what it hides
 * is not recorded, and so not allowed. */
static __always_inline bool is_ours(void)
{
	const char ours[16] = "speaker-inject";
	struct task_struct *task = current_task();
	char comm[16] = {};

	if (!is_traced())
		return false;
	BPF_CORE_READ_INTO(&comm, task, parent, group_leader, comm);
	for (int i = 0; i < sizeof(ours) - 1; i++)
		if (comm[i] != ours[i])
			return false;
	return true;
}

static __always_inline u32 abi_of(u32 *nr)
{
	if (is_compat())
		return I386;
	if (*nr != -1 && *nr & 1 << 30) {
		*nr &= ~(1 << 30);
		return X32;
	}
	return X86_64;
}

static __always_inline void read_args(u64 *args, struct pt_regs *regs, u32 abi)
{
	if (abi == I386) {
		args[0] = (u32)regs->bx;
		args[1] = (u32)regs->cx;
		args[2] = (u32)regs->dx;
		args[3] = (u32)regs->si;
		args[4] = (u32)regs->di;
		args[5] = (u32)regs->bp;
	} else {
		args[0] = regs->di;
		args[1] = regs->si;
		args[2] = regs->dx;
		args[3] = regs->r10;
		args[4] = regs->r8;
		args[5] = regs->r9;
	}
}

/* The task's cgroup in the chosen hierarchy. bpf_get_current_cgroup_id() knows
 * only v2, and only the current task. */
static __always_inline u64 cgroup_id(struct task_struct *task)
{
	struct css_set *set = task->cgroups;
	struct cgroup_subsys_state *css;

	if (subsys < 0)
		return set->dfl_cgrp->kn->id;
	/* By hand: clang does not relocate an index that is no literal. */
	css = *(struct cgroup_subsys_state **)((void *)set + bpf_core_field_offset(set->subsys) + 8 * subsys);
	return css->cgroup->kn->id;
}

static __always_inline bool in_cgroup(struct task_struct *task)
{
	u64 id = cgroup_id(task);

	return bpf_map_lookup_elem(&cgroups, &id) != NULL;
}

/* ---- events ---- */

/* Fills what every event has. The pid may be another process' than the current. */
static __always_inline void fill(struct event *e, u8 kind, u8 state, u32 pid, u32 tid, u64 a, u64 b)
{
	e->time = bpf_ktime_get_ns();
	e->kind = kind;
	e->group = group_of(state);
	e->pid = pid;
	e->tid = tid;
	e->args[0] = a;
	e->args[1] = b;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
}

static __always_inline void dropped_event(void)
{
	struct cpu *cpu = this_cpu();

	if (cpu)
		__sync_fetch_and_add(&cpu->events_dropped, 1);
}

static __always_inline void tell(u8 kind, u8 state, u32 pid, u32 tid, u64 a, u64 b)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return dropped_event();
	fill(e, kind, state, pid, tid, a, b);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP); /* a wake-up costs 500 ns and more: readers poll */
}

static __always_inline void tell_exec(u8 state, struct task_struct *task, const char *path)
{
	struct exec_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return dropped_event();
	fill(&e->event, EXECUTED, state, task->tgid, task->pid, 0, 0);
	e->path[0] = 0;
	bpf_probe_read_kernel_str(e->path, sizeof(e->path), path);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

/* Which event an i386 socketcall or a prctl is, if any. */
static __always_inline u8 decode(u8 kind, u64 arg)
{
	if (kind == PRCTL)
		return arg == 22 /* PR_SET_SECCOMP */ ? SECCOMP : 0;
	if (kind == SOCKETCALL)
		return arg == 2 ? BIND : arg == 4 ? LISTEN : arg == 5 || arg == 18 ? ACCEPT : 0;
	return kind;
}

/* Tells a call that is a mark in a server's life, once per process. A listen
 * makes accept and wait news again: only those after it are evidence. Two threads
 * that get here in the same nanoseconds may tell a kind twice: no harm. */
static __always_inline void tell_once(struct slot *p, u8 kind, u64 ids, struct pt_regs *regs, u32 abi)
{
	u64 args[6];

	read_args(args, regs, abi);
	kind = decode(kind, args[0]);
	if (!kind || p->told & 1 << kind)
		return;
	if (kind == LISTEN)
		p->told &= ~(1 << ACCEPT | 1 << WAIT);
	p->told |= 1 << kind;
	tell(kind, p->state, ids >> 32, ids, args[0], args[1]);
}

/* ---- samples ---- */

/* A fixed number per window of time and CPU; dearer limiters buy nothing here. */
static __always_inline bool within_rate(struct cpu *cpu, u64 now)
{
	if (now - cpu->window_start > window_ns) {
		cpu->window_start = now;
		cpu->window_used = 0;
	}
	if (cpu->window_used >= window_samples)
		return false;
	cpu->window_used++;
	return true;
}

static __always_inline void sample(struct cpu *cpu, struct pt_regs *regs, u64 now, u64 ids,
				   u8 group, u32 abi, u32 nr, u8 path_arg)
{
	struct sample *s = bpf_ringbuf_reserve(&samples, sizeof(*s), 0);

	if (!s) {
		__sync_fetch_and_add(&cpu->dropped, 1);
		return;
	}
	s->time = now;
	s->pid = ids >> 32;
	s->tid = ids;
	s->nr = nr;
	s->group = group;
	s->abi = abi;
	read_args(s->args, regs, abi);
	bpf_get_current_comm(s->comm, sizeof(s->comm));
	s->path[0] = 0; /* the ring's memory holds old samples */
	if (path_arg && path_arg <= 6)
		bpf_probe_read_user_str(s->path, sizeof(s->path), (void *)s->args[path_arg - 1]);
	bpf_ringbuf_submit(s, BPF_RB_NO_WAKEUP);
}

/* ---- rows per process: dry run and denials ---- */

static __always_inline void bump(void *map, struct row_key *key, u64 now)
{
	struct row *row = bpf_map_lookup_elem(map, key);

	if (!row) {
		struct row fresh = { .first = now };

		bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
		/* Two threads may come here at once; the slower one finds the row. */
		bpf_map_update_elem(map, key, &fresh, BPF_NOEXIST);
		row = bpf_map_lookup_elem(map, key);
	}
	if (!row) {
		struct cpu *cpu = this_cpu();

		if (cpu)
			__sync_fetch_and_add(&cpu->rows_dropped, 1);
		return;
	}
	__sync_fetch_and_add(&row->count, 1);
	row->last = now;
}

static __always_inline void judge(struct control *ctl, u64 now, u64 ids, u32 abi, u32 nr)
{
	struct row_key key = { .pid = ids >> 32, .nr = nr, .abi = abi };

	if (nr < NR && abi < ABIS && ctl->allow[abi][nr])
		return;
	bump(&judged, &key, now);
}

/* ---- the hot path ---- */

SEC("tp_btf/sys_enter")
int BPF_PROG(on_enter, struct pt_regs *regs, long id)
{
	u64 ids = bpf_get_current_pid_tgid();
	struct slot *p = slot_of(ids >> 32);
	struct control *ctl;
	struct block *block;
	struct cpu *cpu;
	u32 nr = id, abi, number, at;
	u8 group, what = 0;
	bool fresh = false;
	u64 now;

	if (!p || p->state == OUT)
		return 0;
	ctl = control();
	cpu = this_cpu();
	if (!ctl || !cpu)
		return 0;
	if (ctl->watching) {
		struct slot *t = slot_of(ids);

		if (t)
			t->call = ENTERED;
	}

	if (is_ours())
		return 0;
	abi = abi_of(&nr);
	group = group_of(p->state);
	/* The clock before the epoch: a call that is counted in the old half is
	 * never later than the flip. The clock is a third of what all this costs. */
	now = bpf_ktime_get_ns();
	number = bpf_get_smp_processor_id();
	at = (((READ_ONCE(ctl->epoch) & 1) * ncpu + number) * GROUPS + group) * ABIS + abi;
	block = bpf_map_lookup_elem(&table, &at);
	if (block && nr < NR) {
		struct cell *c = &block->cell[nr];

		/* Plain adds: the cell is this CPU's, and tracepoints do not nest. */
		if (!c->count) {
			c->first = now;
			block->used = 1;
			fresh = true;
		}
		c->count++;
		c->last = now;
		what = class[abi][nr];
	} else {
		cpu->lost++;
	}

	if (what >> 4)
		tell_once(p, what >> 4, ids, regs, abi);
	if (ctl->judging && group != INIT)
		judge(ctl, now, ids, abi, nr);
	if (fresh || within_rate(cpu, now))
		sample(cpu, regs, now, ids, group, abi, nr, what & 15);
	else
		cpu->skipped++;
	return 0;
}

/*
 * sys_enter fires after seccomp, so a call that seccomp refuses has an exit and
 * no entry: an exit that finds the thread outside a call is a denial. Attached
 * only while denials are viewed, for it costs every call of the host 70 ns.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(on_return, struct pt_regs *regs, long ret)
{
	u64 ids = bpf_get_current_pid_tgid();
	struct slot *p = slot_of(ids >> 32), *t = slot_of(ids);
	struct row_key key = { .pid = ids >> 32, .nr = regs->orig_ax };
	u8 was;

	if (!p || !t || p->state == OUT)
		return 0;
	was = t->call;
	t->call = LEFT;
	if (is_ours())
		return 0;
	if (was != LEFT || key.nr == -1) /* -1: the return of rt_sigreturn */
		return 0;
	/* Killed while a ptracer held it at the entry: skipped, but not by seccomp. */
	if (ret == -38 /* ENOSYS */ && BPF_CORE_READ(current_task(), pending.signal.sig[0]) & 1 << (9 - 1))
		return 0;
	/* The kernel's own words for a call to be made again (ERESTARTSYS and its
	 * kin): a signal came while a supervisor was asked. It was not refused. */
	if (ret <= -512 && ret >= -516)
		return 0;
	key.abi = abi_of(&key.nr);
	/* A kill or a trap leaves the call's own number in the return value. */
	key.error = ret < 0 && ret >= -4095 ? -ret : 0;
	bump(&denied, &key, bpf_ktime_get_ns());
	return 0;
}

/* ---- who belongs to the target ---- */

/* A process comes in from outside, let in by the current task. That one's mount
 * namespace is what tells the runtime's own later execs from the container's:
 * the process itself may have changed namespace already (runc exec). */
static __always_inline u8 welcome(u32 tgid)
{
	struct control *ctl = control();
	u8 state = ctl ? ctl->newcomer : MAIN;
	u32 ns = current_mount_ns();

	if (is_runtime(state))
		bpf_map_update_elem(&entered, &tgid, &ns, BPF_ANY);
	return state;
}

/* Runs before the child does. crun clones straight into the cgroup, so that no
 * move is ever seen: the child's own cgroup decides, not its parent's state. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 tgid = child->tgid, from = parent->tgid, *ns;
	struct slot *p = slot_of(tgid), *up = slot_of(from), *t = slot_of(child->pid);
	u8 state = up ? up->state : OUT;
	bool came = false;

	if (t)
		t->call = UNKNOWN; /* the number had an owner before */
	if (child->pid != tgid)
		return 0; /* a thread */
	if (!root_pid) {
		bool in = in_cgroup(child);

		came = in && state == OUT;
		if (!in)
			state = OUT;
	}
	if (!p) { /* pid_max was raised after loading: say so, if it is ours */
		struct cpu *cpu = this_cpu();

		if (cpu && (state != OUT || came))
			__sync_fetch_and_add(&cpu->lost, 1);
		return 0;
	}
	if (came) {
		state = welcome(tgid);
	} else if (is_runtime(state)) {
		ns = bpf_map_lookup_elem(&entered, &from);
		if (ns) {
			u32 copy = *ns;

			bpf_map_update_elem(&entered, &tgid, &copy, BPF_ANY);
		}
	}
	p->told = 0;
	p->state = state; /* always written: the number may be a dead process' */
	if (came)
		tell(ENTER, state, tgid, tgid, 0, 0);
	else if (state != OUT)
		tell(FORK, state, from, parent->pid, tgid, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	u32 tgid = task->tgid, *from;
	struct slot *p = slot_of(tgid);
	struct control *ctl = control();

	if (!p || !ctl || p->state == OUT)
		return 0;
	/* An exec by another thread than the leader takes the leader's number. */
	p->call = ENTERED;
	if (is_runtime(p->state)) {
		from = bpf_map_lookup_elem(&entered, &tgid);
		if (any_exec || !from || *from != mount_ns(task)) {
			p->state = p->state == RUNTIME ? MAIN : EXEC;
			ctl->newcomer = RUNTIME_EXEC;
			bpf_map_delete_elem(&entered, &tgid);
		}
	}
	p->told = 0; /* another program: its listen is news */
	tell_exec(p->state, task, bprm->filename);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	u32 tgid = task->tgid;
	struct slot *p = slot_of(tgid);
	u8 state;

	if (!p || p->state == OUT || task->signal->live.counter)
		return 0; /* not ours, or other threads live on */
	state = p->state;
	p->state = OUT; /* before telling: two last threads may both get here */
	if (is_runtime(state))
		bpf_map_delete_elem(&entered, &tgid);
	tell(EXIT, state, tgid, task->pid, task->exit_code, 0);
	return 0;
}

/* Fires after the move, once per hierarchy; each time our own hierarchy is asked. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach, struct cgroup *to, const char *path, struct task_struct *task, bool group)
{
	u32 tgid = task->tgid, me = bpf_get_current_pid_tgid();
	struct slot *p = slot_of(tgid), *mover = slot_of(me);
	bool in = in_cgroup(task);
	u8 state;

	if (!p || task->pid != tgid)
		return 0; /* a thread moved alone (v1 tasks file): its process stays where its leader is */
	state = p->state;
	if (in && state == OUT) {
		p->told = 0;
		p->call = UNKNOWN;
		if (mover)
			mover->call = UNKNOWN; /* it may be a thread of the process that moves itself */
		p->state = welcome(tgid);
		tell(ENTER, p->state, tgid, tgid, 0, 0);
	} else if (!in && state != OUT) {
		p->state = OUT;
		bpf_map_delete_elem(&entered, &tgid);
		tell(LEAVE, state, tgid, tgid, 0, 0);
	}
	return 0;
}

/* A new cgroup below the target is the target's; one with an armed name becomes
 * the target before any process can be in it, if none of another owner did. */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_mkdir, struct cgroup *cgrp, const char *path)
{
	struct control *ctl = control();
	u64 id = cgrp->kn->id, up;
	struct leaf leaf = {};
	u32 *whose;
	u8 one = 1;

	if (!ctl || cgrp->root->hierarchy_id != hierarchy)
		return 0;
	up = cgrp->self.parent->cgroup->kn->id;
	if (!bpf_map_lookup_elem(&cgroups, &up)) {
		bpf_probe_read_kernel_str(leaf.name, sizeof(leaf.name), cgrp->kn->name);
		whose = bpf_map_lookup_elem(&armed, &leaf);
		if (!whose)
			return 0;
		/* No race: the kernel makes one cgroup at a time. */
		if (!ctl->taken) {
			ctl->taken_at = bpf_ktime_get_ns();
			ctl->taken = *whose;
		}
		if (ctl->taken != *whose)
			return 0;
		ctl->newcomer = RUNTIME; /* a new life begins */
	}
	bpf_map_update_elem(&cgroups, &id, &one, BPF_ANY);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_rmdir, struct cgroup *cgrp, const char *path)
{
	u64 id = cgrp->kn->id;

	if (cgrp->root->hierarchy_id == hierarchy)
		bpf_map_delete_elem(&cgroups, &id);
	return 0;
}

/* Signals that say something of the target's life. Not those that programs send
 * themselves by the thousand: PIPE ALRM CHLD URG VTALRM PROF IO, and realtime
 * ones from inside (Go preempts by URG, glibc uses 32 to 34, systemd stops by 37). */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, void *info, struct task_struct *task)
{
	const u64 noise = 1 << 13 | 1 << 14 | 1 << 17 | 1 << 23 | 1 << 26 | 1 << 27 | 1 << 29;
	struct slot *p = slot_of(task->tgid), *sender;
	u64 ids = bpf_get_current_pid_tgid();

	if (!p || p->state == OUT || sig <= 0 || sig > 64 || (sig < 32 && noise >> sig & 1))
		return 0;
	sender = slot_of(ids >> 32);
	if (sig >= 32 && (sig < 35 || (sender && sender->state != OUT)))
		return 0;
	tell(SIGNAL, p->state, task->tgid, task->pid, sig, ids >> 32);
	return 0;
}

/* ---- processes that exist already ---- */

static __always_inline bool in_tree(struct task_struct *task)
{
	for (int i = 0; i < 128 && task; i++) {
		if (task->tgid == root_pid)
			return true;
		if (task->tgid <= 1)
			return false;
		task = task->real_parent;
	}
	return false;
}

/* Run once by user space with the hooks above in place. In the kernel and not
 * from /proc, so that no number can change its owner between look and mark. */
SEC("iter/task")
int seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct control *ctl = control();
	struct slot *p;
	u32 tgid, ns;

	if (!task || !ctl)
		return 0;
	tgid = task->tgid;
	p = slot_of(tgid);
	if (!p || p->state != OUT || !task->signal->live.counter)
		return 0;
	if (!(root_pid ? in_tree(task) : in_cgroup(task)))
		return 0;
	if (is_runtime(ctl->newcomer)) {
		ns = mount_ns(task);
		bpf_map_update_elem(&entered, &tgid, &ns, BPF_ANY);
	}
	p->state = ctl->newcomer;
	ctl->seeded++;
	return 0;
}
