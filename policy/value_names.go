package policy

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// ValueNames returns the names that ParseConditions knows of values, sorted: domains and
// types of sockets, flags of clone, and what prctl, ioctl and mmap are commonly asked for.
func ValueNames() []string { return slices.Sorted(maps.Keys(valueNames)) }

// valueNames are named as in the kernel's headers.
var valueNames = map[string]uint64{
	"AF_UNSPEC": unix.AF_UNSPEC, "AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6,
	"AF_NETLINK": unix.AF_NETLINK, "AF_PACKET": unix.AF_PACKET, "AF_ALG": unix.AF_ALG, "AF_VSOCK": unix.AF_VSOCK,
	"AF_XDP": unix.AF_XDP, "AF_BLUETOOTH": unix.AF_BLUETOOTH, "AF_CAN": unix.AF_CAN, "AF_TIPC": unix.AF_TIPC,
	"AF_RDS": unix.AF_RDS, "AF_KEY": unix.AF_KEY,
	"SOCK_STREAM": unix.SOCK_STREAM, "SOCK_DGRAM": unix.SOCK_DGRAM, "SOCK_RAW": unix.SOCK_RAW,
	"SOCK_SEQPACKET": unix.SOCK_SEQPACKET, "SOCK_CLOEXEC": unix.SOCK_CLOEXEC, "SOCK_NONBLOCK": unix.SOCK_NONBLOCK,

	"CLONE_NEWNS": unix.CLONE_NEWNS, "CLONE_NEWCGROUP": unix.CLONE_NEWCGROUP, "CLONE_NEWUTS": unix.CLONE_NEWUTS,
	"CLONE_NEWIPC": unix.CLONE_NEWIPC, "CLONE_NEWUSER": unix.CLONE_NEWUSER, "CLONE_NEWPID": unix.CLONE_NEWPID,
	"CLONE_NEWNET": unix.CLONE_NEWNET, "CLONE_NEWTIME": unix.CLONE_NEWTIME, "CLONE_THREAD": unix.CLONE_THREAD,
	"CLONE_VM": unix.CLONE_VM, "CLONE_VFORK": unix.CLONE_VFORK,

	"PROT_READ": unix.PROT_READ, "PROT_WRITE": unix.PROT_WRITE, "PROT_EXEC": unix.PROT_EXEC,
	"MAP_SHARED": unix.MAP_SHARED, "MAP_PRIVATE": unix.MAP_PRIVATE, "MAP_ANONYMOUS": unix.MAP_ANONYMOUS,
	"O_WRONLY": unix.O_WRONLY, "O_RDWR": unix.O_RDWR, "O_CREAT": unix.O_CREAT, "O_TRUNC": unix.O_TRUNC,

	"PR_SET_PDEATHSIG": unix.PR_SET_PDEATHSIG, "PR_SET_DUMPABLE": unix.PR_SET_DUMPABLE, "PR_SET_NAME": unix.PR_SET_NAME,
	"PR_GET_NAME": unix.PR_GET_NAME, "PR_SET_KEEPCAPS": unix.PR_SET_KEEPCAPS, "PR_SET_SECCOMP": unix.PR_SET_SECCOMP,
	"PR_CAPBSET_READ": unix.PR_CAPBSET_READ, "PR_CAPBSET_DROP": unix.PR_CAPBSET_DROP,
	"PR_SET_NO_NEW_PRIVS": unix.PR_SET_NO_NEW_PRIVS, "PR_SET_CHILD_SUBREAPER": unix.PR_SET_CHILD_SUBREAPER,
	"PR_SET_MM": unix.PR_SET_MM, "PR_SET_THP_DISABLE": unix.PR_SET_THP_DISABLE, "PR_SET_VMA": unix.PR_SET_VMA,

	"TCGETS": unix.TCGETS, "TCSETS": unix.TCSETS, "TIOCSTI": unix.TIOCSTI, "TIOCLINUX": unix.TIOCLINUX,
	"TIOCGWINSZ": unix.TIOCGWINSZ, "TIOCGPGRP": unix.TIOCGPGRP, "FIONREAD": unix.TIOCINQ, "FIONBIO": 0x5421,
	"FIOCLEX": 0x5451, "FIONCLEX": 0x5450, "SIOCGIFCONF": 0x8912,
}
