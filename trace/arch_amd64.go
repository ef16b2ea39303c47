package trace

// abis are the ABIs of the kernel's tables, in its order (bpf/arch.h).
var abis = [...]ABI{X86_64, I386, X32}
