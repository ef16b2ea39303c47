// Package trace is what the kernel says of a target: exact counts of its system
// calls per epoch, a sampled stream of them for eyes, and the facts of its life
// (fork, exec, listen, signal, exit). It owns the eBPF programs in bpf/ and all
// that loads and reads them. It knows nothing of policies or recordings.
//
// A Tracer needs Linux 5.8 with BTF, on amd64, and CAP_BPF with CAP_PERFMON.
package trace
