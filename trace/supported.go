package trace

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
)

const (
	capSysAdmin = 21
	capPerfmon  = 38
	capBPF      = 39
)

// Supported says in one line why no Tracer can be opened here, or returns nil.
func Supported() error {
	caps, err := effectiveCaps()
	if err != nil {
		return fmt.Errorf("read own capabilities: %w", err)
	}
	has := func(c int) bool { return caps>>c&1 == 1 }
	if !has(capSysAdmin) && (!has(capBPF) || !has(capPerfmon)) {
		return errors.New("watching system calls needs root, or CAP_BPF and CAP_PERFMON")
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return errors.New("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF), which watching system calls needs")
	}
	if err := features.HaveMapType(ebpf.RingBuf); errors.Is(err, ebpf.ErrNotSupported) {
		return errors.New("this kernel is too old to watch system calls (needs Linux 5.8)")
	} else if err != nil {
		return fmt.Errorf("this kernel does not let eBPF programs in: %w", err)
	}
	return nil
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
