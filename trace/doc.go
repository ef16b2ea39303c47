// Package trace is what the kernel says of a target: exact counts of its system
// calls per epoch, a sampled stream of them for eyes, and the facts of its life
// (fork, exec, listen, signal, exit). It owns the eBPF programs in bpf/ and all
// that loads and reads them. It knows nothing of policies or recordings.
//
// A Tracer needs Linux 5.11 (bpf_get_current_task_btf) with BTF, on amd64 or
// arm64. Supported says what is missing.
//
// # Capabilities
//
// Nothing needs root as such. In the initial user namespace, these are enough:
//
//	to watch        CAP_BPF, CAP_PERFMON. Whoever the processes belong to.
//	to look inside  CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH: what other users'
//	                threads sleep in, listening sockets, io_uring (trace/proc).
//	                Without them a recording lacks the calls in which threads
//	                sleep all along, and has less evidence for a split.
//	to boot again   those of watching, and Docker's socket.
//	to hold         CAP_SYS_PTRACE, CAP_SYS_ADMIN (to read filters back); of
//	                containers those of watching besides, and CAP_SYS_NICE, so
//	                that no exec is missed on a busy machine.
//	to inject       the same, and CAP_DAC_READ_SEARCH to find io_uring and
//	                sleeping threads before, and leaked listeners after.
//
// CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON, CAP_DAC_OVERRIDE for
// CAP_DAC_READ_SEARCH. To make a cgroup and to move others' processes there
// takes the right to write in the cgroup file system.
package trace
