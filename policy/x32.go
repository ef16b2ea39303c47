package policy

import (
	"slices"
	"sync"
)

// x32First is where the calls begin that x32 numbers apart from x86_64, because
// they take pointers in structures or signals. It has all others in common. From
// arch/x86/entry/syscalls/syscall_64.tbl; no more are to come.
const x32First = 512

var x32Own = []string{
	"rt_sigaction", "rt_sigreturn", "ioctl", "readv", "writev", "recvfrom",
	"sendmsg", "recvmsg", "execve", "ptrace", "rt_sigpending",
	"rt_sigtimedwait", "rt_sigqueueinfo", "sigaltstack", "timer_create",
	"mq_notify", "kexec_load", "waitid", "set_robust_list", "get_robust_list",
	"vmsplice", "move_pages", "preadv", "pwritev", "rt_tgsigqueueinfo",
	"recvmmsg", "sendmmsg", "process_vm_readv", "process_vm_writev",
	"setsockopt", "getsockopt", "io_setup", "io_submit", "execveat", "preadv2",
	"pwritev2",
}

// x32Lacks are calls of x86_64 that x32 has in no form. map_shadow_stack is one for
// libseccomp, and so for every engine; Linux has it for x32 since 6.10.
var x32Lacks = []string{
	"_sysctl", "create_module", "get_kernel_syms", "query_module", "nfsservctl",
	"set_thread_area", "get_thread_area", "epoll_ctl_old", "epoll_wait_old",
	"vserver", "uselib", "uretprobe", "uprobe", "map_shadow_stack",
}

// x32Names returns the names of the x32 calls by number.
var x32Names = sync.OnceValue(func() []string {
	names := make([]string, x32First+len(x32Own))
	for nr, name := range amd64Names[:] {
		if !slices.Contains(x32Own, name) && !slices.Contains(x32Lacks, name) {
			names[nr] = name
		}
	}
	copy(names[x32First:], x32Own)
	return names
})
