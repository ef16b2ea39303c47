package trace

// The kernel programs look some calls over besides counting them: calls that
// take a path (the samples carry it), calls that are marks in a server's life
// (events), and calls whose arguments decide what they are (their values are
// counted). Numbers are the kernel's syscall tables'; they never change.

const (
	none = -1 // the ABI has no such call

	kindSocketcall EventKind = 17 // i386: bind, listen and accept behind one number
	kindPrctl      EventKind = 18 // a filter, no_new_privs or capabilities: its first argument says

	field = 8 // and the index of an argument: the 64-bit word that it points to
)

type special struct {
	x86_64, i386, arm64 int16
	path                int8 // 1 + index of the argument that is a path; 0: none
	event               EventKind
}

var specials = []special{
	{2, 5, none, 1, 0},                   // open
	{4, 106, none, 1, 0},                 // stat
	{none, 195, none, 1, 0},              // stat64
	{6, 107, none, 1, 0},                 // lstat
	{none, 196, none, 1, 0},              // lstat64
	{21, 33, none, 1, 0},                 // access
	{59, 11, 221, 1, 0},                  // execve
	{76, 92, 45, 1, 0},                   // truncate
	{80, 12, 49, 1, 0},                   // chdir
	{82, 38, none, 1, 0},                 // rename
	{83, 39, none, 1, 0},                 // mkdir
	{84, 40, none, 1, 0},                 // rmdir
	{85, 8, none, 1, 0},                  // creat
	{86, 9, none, 1, 0},                  // link
	{87, 10, none, 1, 0},                 // unlink
	{88, 83, none, 2, 0},                 // symlink
	{89, 85, none, 1, 0},                 // readlink
	{90, 15, none, 1, 0},                 // chmod
	{92, 182, none, 1, 0},                // chown
	{none, 212, none, 1, 0},              // chown32
	{94, 16, none, 1, 0},                 // lchown
	{none, 198, none, 1, 0},              // lchown32
	{132, 30, none, 1, 0},                // utime
	{133, 14, none, 1, 0},                // mknod
	{137, 99, 43, 1, 0},                  // statfs
	{none, 268, none, 1, 0},              // statfs64
	{155, 217, 41, 1, 0},                 // pivot_root
	{161, 61, 51, 1, 0},                  // chroot
	{165, 21, 40, 2, 0},                  // mount
	{166, 52, 39, 1, 0},                  // umount2
	{188, 226, 5, 1, 0},                  // setxattr
	{191, 229, 8, 1, 0},                  // getxattr
	{192, 230, 9, 1, 0},                  // lgetxattr
	{194, 232, 11, 1, 0},                 // listxattr
	{235, 271, none, 1, 0},               // utimes
	{254, 292, 27, 2, 0},                 // inotify_add_watch
	{257, 295, 56, 2, 0},                 // openat
	{258, 296, 34, 2, 0},                 // mkdirat
	{259, 297, 33, 2, 0},                 // mknodat
	{260, 298, 54, 2, 0},                 // fchownat
	{261, 299, none, 2, 0},               // futimesat
	{262, 300, 79, 2, 0},                 // newfstatat, fstatat64
	{263, 301, 35, 2, 0},                 // unlinkat
	{264, 302, 38, 2, 0},                 // renameat
	{265, 303, 37, 2, 0},                 // linkat
	{266, 304, 36, 3, 0},                 // symlinkat
	{267, 305, 78, 2, 0},                 // readlinkat
	{268, 306, 53, 2, 0},                 // fchmodat
	{269, 307, 48, 2, 0},                 // faccessat
	{280, 320, 88, 2, 0},                 // utimensat
	{303, 341, 264, 2, 0},                // name_to_handle_at
	{316, 353, 276, 2, 0},                // renameat2
	{322, 358, 281, 2, 0},                // execveat
	{332, 383, 291, 2, 0},                // statx
	{428, 428, 428, 2, 0},                // open_tree
	{429, 429, 429, 2, 0},                // move_mount
	{437, 437, 437, 2, 0},                // openat2
	{439, 439, 439, 2, 0},                // faccessat2
	{452, 452, 452, 2, 0},                // fchmodat2
	{50, 363, 201, 0, EventListen},       // listen
	{49, 361, 200, 0, EventBind},         // bind
	{43, none, 202, 0, EventAccept},      // accept
	{288, 364, 242, 0, EventAccept},      // accept4
	{none, 102, none, 0, kindSocketcall}, // socketcall
	{232, 256, none, 0, EventWait},       // epoll_wait
	{281, 319, 22, 0, EventWait},         // epoll_pwait
	{441, 441, 441, 0, EventWait},        // epoll_pwait2
	{7, 168, none, 0, EventWait},         // poll
	{271, 309, 73, 0, EventWait},         // ppoll
	{none, 414, none, 0, EventWait},      // ppoll_time64
	{23, 142, none, 0, EventWait},        // select
	{none, 82, none, 0, EventWait},       // select
	{270, 308, 72, 0, EventWait},         // pselect6
	{none, 413, none, 0, EventWait},      // pselect6_time64
	{317, 354, 277, 0, EventSeccomp},     // seccomp
	{157, 172, 167, 0, kindPrctl},        // prctl
	{425, 425, 425, 0, EventUringNew},    // io_uring_setup
	{126, 185, 91, 0, EventCaps},         // capset
	{105, 23, 146, 0, EventUID},          // setuid
	{113, 70, 145, 0, EventUID},          // setreuid
	{117, 164, 147, 0, EventUID},         // setresuid
	{none, 213, none, 0, EventUID},       // setuid32
	{none, 203, none, 0, EventUID},       // setreuid32
	{none, 208, none, 0, EventUID},       // setresuid32
}

// deciding are the calls whose argument values are counted.
var deciding = []struct {
	x86_64, i386, arm64 int16
	first, second       uint8 // 1 + index of the argument, or a field; 0: none
}{
	{2, 5, none, 2, 0},            // open: flags
	{257, 295, 56, 3, 0},          // openat: flags
	{437, 437, 437, field | 2, 0}, // openat2: flags
	{317, 354, 277, 1, 2},         // seccomp: operation, flags
	{157, 172, 167, 1, 0},         // prctl: option
	{56, 120, 220, 1, 0},          // clone: flags
	{435, 435, 435, field, 0},     // clone3: flags
	{41, 359, 198, 1, 2},          // socket: domain, type
	{53, 360, 199, 1, 2},          // socketpair: domain, type
	{16, 54, 29, 2, 0},            // ioctl: request
	{135, 136, 92, 1, 0},          // personality
	{9, none, 222, 3, 0},          // mmap: protection
	{none, 192, none, 3, 0},       // mmap2
	{10, 125, 226, 3, 0},          // mprotect
	{329, 380, 288, 3, 0},         // pkey_mprotect
	{272, 310, 97, 1, 0},          // unshare: flags
	{308, 346, 268, 2, 0},         // setns: kind
	{321, 357, 280, 1, 0},         // bpf: command
}

// The places of what the kernel's table says of a call, as in bpf/trace.bpf.c.
const (
	kindShift = 4
	argShift  = 12
	moreShift = 16
)

// classes is the table for the kernel, by the kernel's index of an ABI.
func classes() (t [tableABIs][tableNrs]uint32) {
	set := func(class uint32, numbers map[ABI]int16) {
		for i := range t {
			if nr, ok := numbers[abiOf(i)]; ok && nr != none {
				t[i][nr] |= class
			}
		}
	}
	for _, s := range specials {
		set(uint32(s.event)<<kindShift|uint32(s.path), numbers(s.x86_64, s.i386, s.arm64))
	}
	for _, d := range deciding {
		set(uint32(d.first)<<argShift|uint32(d.second)<<moreShift, numbers(d.x86_64, d.i386, d.arm64))
	}
	return t
}

// numbers are a call's in each ABI. x32 shares those of x86_64, but for some
// that it moved to 512 and up.
func numbers(x86_64, i386, arm64 int16) map[ABI]int16 {
	moved := map[int16]int16{59: 520, 322: 545, 16: 514} // execve, execveat, ioctl
	x32, ok := moved[x86_64]
	if !ok {
		x32 = x86_64
	}
	return map[ABI]int16{X86_64: x86_64, I386: i386, X32: x32, ARM64: arm64}
}
