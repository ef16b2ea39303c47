//go:build ignore

/*
 * The kernel's half of the tracer.
 *
 * Two rules shape it. The first: every process of the host pays for sys_enter
 * (40 to 80 ns even if it does nothing), so the way out for a thread that is not
 * watched is one word, found by where its kernel stack is: asking who calls is
 * dearer than all the rest. Whether a process is watched is therefore decided
 * elsewhere, in the rare events (fork, exec, exit, a move between cgroups), and
 * left for sys_enter in the words of its threads' stacks and in its state.
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

enum {
	NR = 1024, ABIS = 3, GROUPS = 3, PIDS = 1 << 22, SLOTS = 16384, PATH = 256, LEAF = 128,
	STACK_SHIFT = 14, /* no kernel stack is smaller, and each is aligned to its size */
	STACKS = 1 << (32 - STACK_SHIFT),
	THREADS = 512,
};

#include "arch.h"

enum group { INIT, MAINLY, EXECED };

/* What a process is to the target. The low two bits are 1 + its group. */
enum state {
	OUT,
	RUNTIME = 1 + INIT,      /* came from outside, the program has not begun: the container runtime */
	MAIN = 1 + MAINLY,       /* the program and all that it starts */
	EXEC = 1 + EXECED,       /* came from outside later (docker exec), after its own exec */
	RUNTIME_EXEC = 4 | RUNTIME, /* and before it */
};

/* Where a thread is, as far as denials are watched. */
enum { UNKNOWN, ENTERED, LEFT };

/* Same values as EventKind in types.go. */
enum event_kind {
	FORK = 1, EXECUTED, EXIT, LISTEN, ACCEPT, WAIT, BIND, SECCOMP,
	SIGNAL, ENTER, LEAVE, URING, NO_NEW_PRIVS, CAPS, UID, /* up to here: fit slot.told */
	FREEZE,
	SOCKETCALL, /* not sent: i386 socketcall, decoded by its first argument */
	PRCTL,      /* not sent: decoded by its first argument */
};

/* What on_enter does with a call besides counting it, as in calls.go. */
enum {
	PATH_SHIFT = 0,  /* 1 + index of the argument that is a path */
	KIND_SHIFT = 4,  /* an event_kind */
	ARG_SHIFT = 12,  /* 1 + index of an argument whose values are counted */
	MORE_SHIFT = 16, /* and of a second one */
	FIELD = 8,       /* this and the index: the 64-bit word that the argument points to */
};

/* ---- constants, set before loading; the verifier drops what they exclude ---- */

const volatile s32 subsys = -1;  /* index of the v1 controller whose hierarchy decides; -1: v2 */
const volatile u32 hierarchy;    /* that hierarchy's number in /proc/cgroups; 0: v2 */
const volatile u32 root_pid;     /* not 0: the target is this process' tree, not a cgroup */
const volatile bool any_exec;    /* the first exec is the program, whatever its mount namespace */
const volatile bool entries;     /* tell only of who is on the way in, and wake who waits for it */
const volatile u32 tick_samples = 20;
const volatile u32 class[ABIS][NR];

/* ---- maps ---- */

/* Apart from the slots, and without a lookup, for stack is all that the calls of
 * other threads wait for. */
struct watched {
	/* By pid number, for the process whose leader has it. PIDS is the most that
	 * pid_max can be. */
	u8 state[PIDS];
	/* By the lower half of the stack's address: how many watched threads have
	 * such a stack. It may be more: then a thread that is not watched is asked who
	 * it is. It is never less. */
	u32 stack[STACKS];
};

struct watched watched;

/* By pid number: told belongs to the process whose leader has it, the others to
 * the thread that has it. */
struct slot {
	u8 call;
	u8 stacks; /* how often its stack was counted */
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

/* What belongs to one CPU: a cache line of its own, and its part of the table. */
struct cpu {
	u32 tick;        /* control.tick when now was read */
	u32 samples;     /* that may still be sent in this tick */
	u32 calm;        /* the tick in whose rest calls are just counted */
	u64 now;
	u64 sent, dropped; /* samples */
	u64 events_dropped, rows_dropped;
	u64 lost; /* calls that no cell could take */
	u64 args_dropped;
	u64 unfollowed; /* cgroups and processes that a table had no room for */
	u32 unused[13];
	struct block block[2 * GROUPS * ABIS]; /* [half][group][abi] */
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
	u32 tick;     /* counted up by user space: time to look at the clock again */
	u32 judging;  /* count the calls that allow[] does not have */
	u32 watching; /* keep slot.call, for sys_exit */
	u32 naming;   /* count per process */
	u32 newcomer; /* the state of a process that comes from outside */
	u64 seeded;   /* processes that were in the target already */
	u64 taken_at; /* when the first armed name was met */
	u64 life_at;  /* when the last new life of the target began */
	u32 taken;    /* whose the first armed name was: the others' no longer count */
	u32 lives;    /* that began after the one in which the tracer was opened */
	u8 allow[ABIS][NR];
};

struct control ctl SEC(".data.control");

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
	u8 group, unused[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct row_key);
	__type(value, struct row);
} judged SEC(".maps"), denied SEC(".maps"), by_process SEC(".maps");

struct arg_key {
	u64 value[2];
	u32 nr;
	u8 abi, group, unused[2];
};

struct arg_row {
	u64 count, first, last;
};

/* The values that deciding arguments had. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct arg_key);
	__type(value, struct arg_row);
} arguments SEC(".maps");

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
const struct sample *const sample_type __attribute__((unused));
const struct event *const event_type __attribute__((unused));
const struct exec_event *const exec_event_type __attribute__((unused));

/* A call as it is looked at. */
struct call {
	struct pt_regs *regs;
	u64 ids;
	u32 nr, what, tick;
	u8 abi, group, state;
};

/* ---- small readers ---- */

static __always_inline struct slot *slot_of(u32 pid)
{
	u32 number = pid / SLOTS;
	struct chunk *c = bpf_map_lookup_elem(&slots, &number);

	return c ? &c->slot[pid % SLOTS] : NULL;
}

static __always_inline struct cpu *this_cpu(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

static __always_inline u8 *state_of(u32 pid)
{
	return &watched.state[pid & (PIDS - 1)];
}

static __always_inline void unfollowed(void)
{
	struct cpu *cpu = this_cpu();

	if (cpu)
		__sync_fetch_and_add(&cpu->unfollowed, 1);
}

static __always_inline u32 group_of(u32 state)
{
	return (state & 3) - 1;
}

static __always_inline bool is_runtime(u8 state)
{
	return (state & 3) == RUNTIME;
}

static __always_inline void forget_told(u32 tgid)
{
	struct slot *p = slot_of(tgid);

	if (p)
		p->told = 0;
}

static __always_inline void set_call(u32 tid, u8 call)
{
	struct slot *t = slot_of(tid);

	if (t)
		t->call = call;
}

/* The words of a stack: more than one if the kernel's are large. */
static __always_inline void count_stack(struct task_struct *task, int by)
{
	u32 first = (u64)BPF_CORE_READ(task, stack) >> STACK_SHIFT, words = 4;

	if (bpf_core_type_exists(union thread_union))
		words = bpf_core_type_size(union thread_union) >> STACK_SHIFT;
	for (u32 i = 0; i < 4 && i < words; i++)
		__sync_fetch_and_add(&watched.stack[(first + i) & (STACKS - 1)], by);
}

/* From now on the calls of a thread are looked at. Once too often does no harm. */
static __always_inline void watch_stack(struct task_struct *task, struct slot *t)
{
	count_stack(task, 1);
	if (t && t->stacks < 255)
		t->stacks++;
}

/* A thread ends. If another one took its number over by an exec, that one's stack
 * stays counted. */
static __always_inline void leave_stack(struct task_struct *task)
{
	struct slot *t = slot_of(task->pid);

	if (t && t->stacks) {
		count_stack(task, -(int)t->stacks);
		t->stacks = 0;
	}
}

/* These two are not static: so the verifier looks at each of them apart, and not
 * at all that follows anew for each number of threads. What they are given was
 * read as a number. */
__noinline int watch_thread(u64 task)
{
	struct task_struct *t = (void *)task;

	watch_stack(t, slot_of(BPF_CORE_READ(t, pid)));
	return 0;
}

/* The threads of a process that came with all of them. While it comes it can make
 * no new ones. */
__noinline int watch_threads(u64 signal)
{
	struct list_head *head = &((struct signal_struct *)signal)->thread_head, *at = BPF_CORE_READ(head, next);

	for (int i = 0; i < THREADS; i++) {
		if (!at || at == head)
			return 1;
		watch_thread((u64)at - bpf_core_field_offset(struct task_struct, thread_node));
		at = BPF_CORE_READ(at, next);
	}
	return 0;
}

static __always_inline u32 mount_ns(struct task_struct *task)
{
	struct nsproxy *ns = task->nsproxy;

	return ns ? ns->mnt_ns->ns.inum : 0; /* an exiting task has none */
}

/* True for a call that our own injector has the thread make: that is none of the
 * program's doing and must not get into its sets. It is known by a mark, and by
 * the injector's name: a target could hide its calls by naming a debugger of its
 * own so; what it hides is not recorded, and so not allowed. */
static __noinline bool is_ours(struct task_struct *task, struct pt_regs *regs)
{
	const union {
		char name[16];
		u64 word[2];
	} ours = { "speaker-inject" };
	u64 comm[2] = {};

	if (!is_marked(regs))
		return false;
	BPF_CORE_READ_INTO(&comm, task, parent, group_leader, comm);
	/* By words: of a loop over bytes the verifier makes 840,000 instructions. */
	return comm[0] == ours.word[0] && comm[1] == ours.word[1];
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
	bpf_ringbuf_submit(e, entries ? 0 : BPF_RB_NO_WAKEUP); /* a wake-up costs 500 ns and more: readers poll */
}

static __always_inline void tell_exec(u8 state, struct task_struct *task, const char *path)
{
	struct exec_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e)
		return dropped_event();
	fill(&e->event, EXECUTED, state, task->tgid, task->pid, 0, 0);
	e->path[0] = 0;
	bpf_probe_read_kernel_str(e->path, sizeof(e->path), path);
	bpf_ringbuf_submit(e, entries ? 0 : BPF_RB_NO_WAKEUP);
}

/* Who let the process in is told by its mount namespace. */
static __always_inline void tell_enter(u8 state, u32 tgid)
{
	tell(ENTER, state, tgid, tgid, mount_ns(bpf_get_current_task_btf()), state == RUNTIME_EXEC);
}

/* Which event an i386 socketcall or a prctl is, if any. */
static __always_inline u8 decode(u8 kind, u64 arg)
{
	if (kind == PRCTL)
		return arg == 22 /* PR_SET_SECCOMP */ ? SECCOMP :
		       arg == 38 /* PR_SET_NO_NEW_PRIVS */ ? NO_NEW_PRIVS :
		       arg == 24 /* PR_CAPBSET_DROP */ ? CAPS : 0;
	if (kind == SOCKETCALL)
		return arg == 2 ? BIND : arg == 4 ? LISTEN : arg == 5 || arg == 18 ? ACCEPT : 0;
	return kind;
}

/* Tells a call that is a mark in a server's life, once per process. A listen
 * makes accept and wait news again: only those after it are evidence. Two threads
 * that get here in the same nanoseconds may tell a kind twice: no harm. */
static __always_inline void tell_once(struct call *c, u8 kind)
{
	struct slot *p = slot_of(c->ids >> 32);
	u64 args[6];

	read_args(args, c->regs, c->abi);
	kind = decode(kind, args[0]);
	if (!p || !kind || kind > UID || p->told & 1 << kind)
		return;
	if (kind == LISTEN)
		p->told &= ~(1 << ACCEPT | 1 << WAIT);
	p->told |= 1 << kind;
	tell(kind, c->state, c->ids >> 32, c->ids, args[0], args[1]);
}

/* ---- samples ---- */

static __always_inline void sample(struct cpu *cpu, struct call *c)
{
	struct sample *s = bpf_ringbuf_reserve(&samples, sizeof(*s), 0);
	u8 path = c->what >> PATH_SHIFT & 15;

	if (!s) {
		cpu->dropped++;
		return;
	}
	cpu->sent++;
	s->time = cpu->now;
	s->pid = c->ids >> 32;
	s->tid = c->ids;
	s->nr = c->nr;
	s->group = c->group;
	s->abi = c->abi;
	read_args(s->args, c->regs, c->abi);
	bpf_get_current_comm(s->comm, sizeof(s->comm));
	s->path[0] = 0; /* the ring's memory holds old samples */
	if (path && path <= 6)
		bpf_probe_read_user_str(s->path, sizeof(s->path), (void *)s->args[path - 1]);
	bpf_ringbuf_submit(s, BPF_RB_NO_WAKEUP);
}

/* ---- rows per process: dry run and denials ---- */

static __always_inline void bump(void *map, struct row_key *key, u8 group, u64 now)
{
	struct row *row = bpf_map_lookup_elem(map, key);

	if (!row) {
		struct row fresh = { .first = now, .group = group };

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

/* ---- arguments ---- */

static __always_inline u64 value_of(const u64 *args, u8 which)
{
	u64 word = 0;

	if (which & FIELD)
		bpf_probe_read_user(&word, sizeof(word), (void *)args[which & 7]);
	else if (which)
		word = args[(which - 1) & 7];
	return word;
}

static __always_inline void count_arguments(struct cpu *cpu, struct call *c)
{
	struct arg_key key = { .nr = c->nr, .abi = c->abi, .group = c->group };
	u64 args[8] = {}; /* 8: any masked index is in it */
	struct arg_row *row;

	read_args(args, c->regs, c->abi);
	key.value[0] = value_of(args, c->what >> ARG_SHIFT & 15);
	key.value[1] = value_of(args, c->what >> MORE_SHIFT & 15);
	row = bpf_map_lookup_elem(&arguments, &key);
	if (!row) {
		struct arg_row fresh = { .first = cpu->now };

		bpf_map_update_elem(&arguments, &key, &fresh, BPF_NOEXIST);
		row = bpf_map_lookup_elem(&arguments, &key);
	}
	if (!row) {
		cpu->args_dropped++;
		return;
	}
	__sync_fetch_and_add(&row->count, 1);
	row->last = cpu->now;
}

/* ---- the hot path ---- */

/* The clock is a third of what counting costs, so it is read once a tick and CPU,
 * and for what is new. What carries a tick's time was called in that tick: after
 * user space began it, and before it began the next. */
static __always_inline void look_at_clock(struct cpu *cpu, u32 tick)
{
	if (cpu->tick != tick)
		cpu->samples = tick_samples;
	cpu->tick = tick;
	cpu->now = bpf_ktime_get_ns();
}

/* For the first call of a tick, the first of its kind, the few that mean more than
 * their number, the few that are sampled, and while somebody wants more than
 * counts. Apart from the rest, for a call and its return are what is dear. */
static __noinline int look_closer(struct cpu *cpu, struct cell *cell, struct call *c)
{
	struct row_key key = { .nr = c->nr, .abi = c->abi };

	look_at_clock(cpu, c->tick);
	if (cell->count == 1) {
		cell->first = cpu->now;
		if (!cpu->samples)
			cpu->samples = 1; /* of what is new, each is sampled */
	}
	cell->last = cpu->now;
	c->ids = bpf_get_current_pid_tgid();
	key.pid = c->ids >> 32;
	if (c->what >> KIND_SHIFT & 255)
		tell_once(c, c->what >> KIND_SHIFT);
	if (c->what >> ARG_SHIFT)
		count_arguments(cpu, c);
	if (ctl.judging && c->group != INIT && c->abi < ABIS && c->nr < NR && !ctl.allow[c->abi][c->nr])
		bump(&judged, &key, c->group, cpu->now);
	if (ctl.naming)
		bump(&by_process, &key, c->group, cpu->now);
	if (cpu->samples) {
		cpu->samples--;
		sample(cpu, c);
	}
	cpu->calm = cpu->samples || ctl.judging || ctl.naming || ctl.watching ? c->tick - 1 : c->tick;
	return 0;
}

/* A function of its own, so that whoever is not watched saves no registers. */
static __always_inline int count(u64 *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u8 state = *state_of(task->tgid);
	u32 nr, abi, at, tick, what, number;
	struct cell *c;
	struct cpu *cpu;

	number = bpf_get_smp_processor_id();
	cpu = bpf_map_lookup_elem(&cpus, &number);
	if (state == OUT || !cpu)
		return 0;
	/* The tick before the epoch: a call that is counted in the old half is
	 * never later than the flip. */
	tick = READ_ONCE(ctl.tick);
	if (tick != cpu->calm && ctl.watching)
		set_call(task->pid, ENTERED);
	if (task->ptrace && is_ours(task, (struct pt_regs *)ctx[0]))
		return 0;
	nr = ctx[1];
	abi = abi_of(task, &nr);
	at = ((READ_ONCE(ctl.epoch) & 1) * GROUPS + group_of(state)) * ABIS + abi;
	if (nr >= NR || at >= 2 * GROUPS * ABIS) {
		cpu->lost++;
		return 0;
	}
	c = &cpu->block[at].cell[nr];
	what = class[abi % ABIS][nr];
	/* Plain adds: the cell is this CPU's, and tracepoints do not nest. */
	c->count++;
	c->last = cpu->now;
	if (tick != cpu->calm || c->count == 1 || what) {
		struct call call = { (struct pt_regs *)ctx[0], 0, nr, what, tick, abi, group_of(state), state };

		cpu->block[at].used = 1;
		look_closer(cpu, c, &call);
	}
	return 0;
}

SEC("tp_btf/sys_enter")
int on_enter(u64 *ctx)
{
	u64 regs = ctx[0]; /* they lie on the thread's stack */
	u32 half = regs;

	/* To the verifier they are a pointer, which cannot be shifted. Half a pointer
	 * that was subtracted from is a number. */
	asm volatile("%0 -= 0" : "+w"(half));
	return watched.stack[half >> STACK_SHIFT] ? count(ctx) : 0;
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
	struct row_key key = { .pid = ids >> 32 };
	struct task_struct *task;
	u8 state = *state_of(ids >> 32), was;
	struct slot *t;

	if (state == OUT)
		return 0;
	t = slot_of(ids);
	if (!t)
		return 0;
	was = t->call;
	t->call = LEFT;
	if (was != LEFT)
		return 0;
	task = bpf_get_current_task_btf();
	if (task->ptrace && is_ours(task, regs))
		return 0;
	key.nr = number_of(regs);
	if (key.nr == -1) /* -1: the return of rt_sigreturn */
		return 0;
	/* Killed while a ptracer held it at the entry: skipped, but not by seccomp. */
	if (ret == -38 /* ENOSYS */ && task->pending.signal.sig[0] & 1 << (9 - 1))
		return 0;
	/* The kernel's own words for a call to be made again (ERESTARTSYS and its
	 * kin): a signal came while a supervisor was asked. It was not refused. */
	if (ret <= -512 && ret >= -516)
		return 0;
	key.abi = abi_of(task, &key.nr);
	/* A kill or a trap leaves the call's own number in the return value. */
	key.error = ret < 0 && ret >= -4095 ? -ret : 0;
	bump(&denied, &key, group_of(state), bpf_ktime_get_ns());
	return 0;
}

/* ---- who belongs to the target ---- */

/* A process comes in from outside, let in by the current task. That one's mount
 * namespace is what tells the runtime's own later execs from the container's:
 * the process itself may have changed namespace already (runc exec). */
static __always_inline u8 welcome(u32 tgid)
{
	u8 state = ctl.newcomer;
	u32 ns = mount_ns(bpf_get_current_task_btf());

	if (is_runtime(state) && bpf_map_update_elem(&entered, &tgid, &ns, BPF_ANY))
		unfollowed();
	return state;
}

/* Runs before the child does. crun clones straight into the cgroup, so that no
 * move is ever seen: the child's own cgroup decides, not its parent's state. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 tgid = child->tgid, from = parent->tgid, *ns;
	u8 state = *state_of(from);
	struct slot *t = slot_of(child->pid);
	bool came = false;

	if (t) { /* the number had an owner before */
		t->call = UNKNOWN;
		t->stacks = 0;
	}
	if (child->pid != tgid) {
		if (state != OUT)
			watch_stack(child, t);
		return 0;
	}
	if (!root_pid) {
		bool in = in_cgroup(child);

		came = in && state == OUT;
		if (!in)
			state = OUT;
	}
	if (came) {
		state = welcome(tgid);
	} else if (is_runtime(state)) {
		ns = bpf_map_lookup_elem(&entered, &from);
		if (ns) {
			u32 copy = *ns;

			if (bpf_map_update_elem(&entered, &tgid, &copy, BPF_ANY))
				unfollowed();
		}
	}
	if (t)
		t->told = 0;
	if (state != OUT)
		watch_stack(child, t);
	*state_of(tgid) = state; /* always written: the number may be a dead process' */
	if (came)
		tell_enter(state, tgid);
	else if (state != OUT && (!entries || is_runtime(state)))
		tell(FORK, state, from, parent->pid, tgid, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	u32 tgid = task->tgid, *from;
	u8 *state = state_of(tgid);

	if (*state == OUT || (entries && !is_runtime(*state)))
		return 0;
	/* An exec by another thread than the leader takes the leader's number. */
	set_call(tgid, ENTERED);
	if (is_runtime(*state)) {
		from = bpf_map_lookup_elem(&entered, &tgid);
		if (any_exec || !from || *from != mount_ns(task)) {
			*state = *state == RUNTIME ? MAIN : EXEC;
			ctl.newcomer = RUNTIME_EXEC;
			bpf_map_delete_elem(&entered, &tgid);
		}
	}
	forget_told(tgid); /* another program: its listen is news */
	tell_exec(*state, task, bprm->filename);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	u32 tgid = task->tgid;
	u8 state = *state_of(tgid);

	leave_stack(task);
	if (state == OUT || task->signal->live.counter)
		return 0; /* not ours, or other threads live on */
	*state_of(tgid) = OUT; /* before telling: two last threads may both get here */
	if (is_runtime(state))
		bpf_map_delete_elem(&entered, &tgid);
	else if (entries)
		return 0;
	tell(EXIT, state, tgid, task->pid, task->exit_code, 0);
	return 0;
}

/* Fires after the move, once per hierarchy; each time our own hierarchy is asked. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach, struct cgroup *to, const char *path, struct task_struct *task, bool group)
{
	u32 tgid = task->tgid, me = bpf_get_current_pid_tgid();
	bool in = in_cgroup(task);
	u8 state;

	if (task->pid != tgid)
		return 0; /* a thread moved alone (v1 tasks file): its process stays where its leader is */
	state = *state_of(tgid);
	if (in && state == OUT) {
		forget_told(tgid);
		set_call(tgid, UNKNOWN);
		set_call(me, UNKNOWN); /* it may be a thread of the process that moves itself */
		state = welcome(tgid);
		*state_of(tgid) = state;
		if (!watch_threads((u64)BPF_CORE_READ(task, signal)))
			unfollowed();
		tell_enter(state, tgid);
	} else if (!in && state != OUT) {
		*state_of(tgid) = OUT;
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
	u64 id = cgrp->kn->id, up;
	struct leaf leaf = {};
	u32 *whose;
	u8 one = 1;

	if (cgrp->root->hierarchy_id != hierarchy)
		return 0;
	up = cgrp->self.parent->cgroup->kn->id;
	if (!bpf_map_lookup_elem(&cgroups, &up)) {
		bpf_probe_read_kernel_str(leaf.name, sizeof(leaf.name), cgrp->kn->name);
		whose = bpf_map_lookup_elem(&armed, &leaf);
		if (!whose)
			return 0;
		/* No race: the kernel makes one cgroup at a time. */
		if (!ctl.taken) {
			ctl.taken_at = bpf_ktime_get_ns();
			ctl.taken = *whose;
		}
		if (ctl.taken != *whose)
			return 0;
		/* A second cgroup before the program began is of the same life. */
		if (ctl.newcomer != RUNTIME) {
			ctl.life_at = bpf_ktime_get_ns();
			__sync_fetch_and_add(&ctl.lives, 1); /* after it, on every processor */
		}
		ctl.newcomer = RUNTIME;
	}
	if (bpf_map_update_elem(&cgroups, &id, &one, BPF_ANY))
		unfollowed();
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
	u8 state = *state_of(task->tgid);
	u64 ids = bpf_get_current_pid_tgid();

	if (state == OUT || sig <= 0 || sig > 64 || (sig < 32 && noise >> sig & 1))
		return 0;
	if (sig >= 32 && (sig < 35 || *state_of(ids >> 32) != OUT))
		return 0;
	tell(SIGNAL, state, task->tgid, task->pid, sig, ids >> 32);
	return 0;
}

/* v2 only: the v1 freezer has no tracepoint. */
SEC("tp_btf/cgroup_notify_frozen")
int BPF_PROG(on_frozen, struct cgroup *cgrp, const char *path, bool frozen)
{
	u64 id = cgrp->kn->id;

	if (!hierarchy && bpf_map_lookup_elem(&cgroups, &id))
		tell(FREEZE, MAIN, 0, 0, frozen, 0);
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
	u32 tgid, ns;

	if (!task)
		return 0;
	tgid = task->tgid;
	if (*state_of(tgid) != OUT) { /* a thread, or a child of one that was marked */
		watch_stack(task, slot_of(task->pid));
		return 0;
	}
	if (!task->signal->live.counter)
		return 0;
	if (!(root_pid ? in_tree(task) : in_cgroup(task)))
		return 0;
	if (is_runtime(ctl.newcomer)) {
		ns = mount_ns(task);
		bpf_map_update_elem(&entered, &tgid, &ns, BPF_ANY);
	}
	watch_stack(task, slot_of(task->pid));
	*state_of(tgid) = ctl.newcomer;
	if (!task->signal->live.counter) /* on_exit may have looked before */
		*state_of(tgid) = OUT;
	ctl.seeded++;
	return 0;
}
