/*
 * What differs between processors: which ABI a call is of, where its arguments
 * and its number are. The first ABI of each is the processor's own; trace.ABI
 * has other numbers for them, see arch_*.go.
 */
#ifndef ARCH_H
#define ARCH_H

#if defined(__TARGET_ARCH_x86)

enum abi { NATIVE, I386, X32 };

/* Tells a task's call from its number, which it clears of an ABI's mark. True for
 * the first is any int 0x80 call, of a 32-bit program or of a 64-bit one. */
static __always_inline u32 abi_of(struct task_struct *task, u32 *nr)
{
	if (task->thread_info.status & 2 /* TS_COMPAT */)
		return I386;
	if (*nr >= 1 << 30 && *nr != -1 && *nr & 1 << 30) {
		*nr &= ~(1 << 30);
		return X32;
	}
	return NATIVE;
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

static __always_inline u32 number_of(struct pt_regs *regs)
{
	return regs->orig_ax;
}

/* True for what an injector has the process call: proc.InjectedMark. */
static __always_inline bool is_marked(struct pt_regs *regs)
{
	return regs->r15 == 0x7370656b496e6a63;
}

#elif defined(__TARGET_ARCH_arm64)

enum abi { NATIVE };

/* Calls of 32-bit programs have tables of their own, which we have not: they get
 * a number that no cell can take, and so are counted as lost. */
static __always_inline u32 abi_of(struct task_struct *task, u32 *nr)
{
	if (task->thread_info.flags & 1 << 22 /* TIF_32BIT */)
		*nr = NR;
	return NATIVE;
}

static __always_inline void read_args(u64 *args, struct pt_regs *regs, u32 abi)
{
	for (int i = 0; i < 6; i++)
		args[i] = regs->regs[i];
}

static __always_inline u32 number_of(struct pt_regs *regs)
{
	return regs->syscallno;
}

static __always_inline bool is_marked(struct pt_regs *regs)
{
	return false; /* nothing is injected here */
}

#endif
#endif
