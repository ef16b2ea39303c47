package trace

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// Capabilities by their numbers.
const (
	capSysAdmin = 21
	capPerfmon  = 38
	capBPF      = 39
)

// needs are the kernel's parts that a Tracer cannot do without, the oldest first.
// What the others need is in one of these versions too.
var needs = []struct {
	what, why string
	probe     func() error // ebpf.ErrNotSupported: this kernel has it not
}{
	{"eBPF's ring buffer", "needs Linux 5.8", func() error { return features.HaveMapType(ebpf.RingBuf) }},
	{"bpf_get_current_task_btf", "needs Linux 5.11", helper(asm.FnGetCurrentTaskBtf)},
	{"reading kernel memory", "is forbidden by lockdown in confidentiality mode", helper(asm.FnProbeReadKernel)},
}

// helper probes for a function that eBPF programs may call.
func helper(f asm.BuiltinFunc) func() error {
	return func() error { return features.HaveProgramHelper(ebpf.RawTracepoint, f) }
}

// Supported says in one line why no Tracer can be opened here, or returns nil.
func Supported() error {
	caps, err := effectiveCaps()
	if err != nil {
		return fmt.Errorf("read own capabilities: %w", err)
	}
	if err := permitted(caps); err != nil {
		return err
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return errors.New("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF), which watching system calls needs")
	}
	for _, n := range needs {
		if err := refusal(n.what, n.why, n.probe()); err != nil {
			return err
		}
	}
	return nil
}

// permitted names the capabilities that are missing.
func permitted(caps uint64) error {
	has := func(c int) bool { return caps>>c&1 == 1 }
	var missing []string
	if !has(capBPF) {
		missing = append(missing, "CAP_BPF")
	}
	if !has(capPerfmon) {
		missing = append(missing, "CAP_PERFMON")
	}
	switch {
	case len(missing) == 0 || has(capSysAdmin): // which the kernel takes for both
		return nil
	case len(missing) == 1:
		return fmt.Errorf("watching system calls needs CAP_BPF and CAP_PERFMON: %s is missing (root has both)", missing[0])
	}
	return errors.New("watching system calls needs CAP_BPF and CAP_PERFMON: both are missing (root has them)")
}

// refusal says what the outcome of a probe means.
func refusal(what, why string, outcome error) error {
	switch {
	case outcome == nil:
		return nil
	case errors.Is(outcome, ebpf.ErrNotSupported):
		return fmt.Errorf("this kernel cannot watch system calls: %s %s", what, why)
	case errors.Is(outcome, os.ErrPermission):
		return fmt.Errorf("this kernel does not let eBPF programs in; in a user namespace or a container the host's capabilities are needed: %w", outcome)
	}
	return fmt.Errorf("ask the kernel for %s: %w", what, outcome)
}

func effectiveCaps() (uint64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(v), 16, 64)
		}
	}
	return 0, errors.New("no CapEff in /proc/self/status")
}
