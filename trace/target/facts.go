package target

import (
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// Facts are what the kernel says of a running target: of its first process,
// where not said otherwise.
type Facts struct {
	Processes     int // of the whole target
	CgroupVersion int // of the hierarchy that it is told by: 1, 2, or 0 when that is not known
	Seccomp       int // 0 none, 1 strict, 2 filters
	Filters       int // how many (Linux 5.9; 0 before)
	NoNewPrivs    bool
	CapEff        uint64
	LastCap       int // the highest capability of this kernel
}

// factsOf reads the facts of a target with n processes; nil if its first one is
// gone.
func factsOf(pid, n int, cgroup string) *Facts {
	i, err := proc.Read(pid)
	if err != nil {
		return nil
	}
	return &Facts{Processes: n, CgroupVersion: cgroupVersion(cgroup), Seccomp: i.Seccomp, Filters: i.Filters,
		NoNewPrivs: i.NoNewPrivs, CapEff: i.CapEff, LastCap: proc.LastCap()}
}

func cgroupVersion(path string) int {
	var st unix.Statfs_t
	if path == "" || unix.Statfs(path, &st) != nil {
		return 0
	}
	if uint32(st.Type) == unix.CGROUP2_SUPER_MAGIC {
		return 2
	}
	return 1
}

// Filter tells in short what seccomp filters there are already.
func (f Facts) Filter() string {
	switch {
	case f.Seccomp == 0:
		return "none"
	case f.Seccomp == 1:
		return "strict"
	case f.Filters == 0:
		return "filters"
	case f.Filters == 1:
		return "1 filter"
	}
	return fmt.Sprintf("%d filters", f.Filters)
}

// The sets of capabilities that engines give by default, as CapEff has them.
const (
	dockerCaps = 0xa80425fb // and containerd's, and CRI's
	podmanCaps = 0x800405fb // since 4.0: without AUDIT_WRITE, MKNOD and NET_RAW
)

// notable are capabilities that open the host, or much of it, to a container, the
// widest first.
var notable = []struct {
	bit  int
	name string
}{
	{unix.CAP_SYS_ADMIN, "sys_admin"}, {unix.CAP_SYS_PTRACE, "sys_ptrace"}, {unix.CAP_SYS_MODULE, "sys_module"},
	{unix.CAP_SYS_RAWIO, "sys_rawio"}, {unix.CAP_DAC_READ_SEARCH, "dac_read_search"}, {unix.CAP_BPF, "bpf"},
	{unix.CAP_PERFMON, "perfmon"}, {unix.CAP_NET_ADMIN, "net_admin"}, {unix.CAP_SYS_BOOT, "sys_boot"},
	{unix.CAP_SYS_TIME, "sys_time"}, {unix.CAP_SYS_RESOURCE, "sys_resource"}, {unix.CAP_MAC_ADMIN, "mac_admin"},
}

// Capabilities tells the effective capabilities in short: "all", "default 14",
// "none", or how many, and the notable ones among them.
func (f Facts) Capabilities() string {
	all := uint64(1)<<(f.LastCap+1) - 1
	n := bits.OnesCount64(f.CapEff)
	switch {
	case f.CapEff == 0:
		return "none"
	case f.LastCap > 0 && f.CapEff&all == all:
		return "all"
	case f.CapEff == dockerCaps, f.CapEff == podmanCaps:
		return fmt.Sprintf("default %d", n)
	}
	var names []string
	for _, c := range notable {
		if f.CapEff>>c.bit&1 == 1 {
			names = append(names, c.name)
		}
	}
	const most = 3
	switch {
	case names == nil:
		return fmt.Sprint(n)
	case len(names) > most:
		return fmt.Sprintf("%d with %s +%d", n, strings.Join(names[:most], " "), len(names)-most)
	}
	return fmt.Sprintf("%d with %s", n, strings.Join(names, " "))
}
