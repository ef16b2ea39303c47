package trace

// The kernel programs look some calls over besides counting them: calls that
// take a path (the samples carry it) and calls that are marks in a server's
// life (events). Numbers are the kernel's syscall tables'; they never change.

const (
	none = -1 // the ABI has no such call

	kindSocketcall EventKind = 14 // i386: bind, listen and accept behind one number
	kindPrctl      EventKind = 15 // a seccomp filter, if the first argument says so
)

type special struct {
	x86_64, i386 int16
	path         int8 // 1 + index of the argument that is a path; 0: none
	event        EventKind
}

var specials = []special{
	{2, 5, 1, 0},      // open
	{4, 106, 1, 0},    // stat
	{none, 195, 1, 0}, // stat64
	{6, 107, 1, 0},    // lstat
	{none, 196, 1, 0}, // lstat64
	{21, 33, 1, 0},    // access
	{59, 11, 1, 0},    // execve
	{76, 92, 1, 0},    // truncate
	{80, 12, 1, 0},    // chdir
	{82, 38, 1, 0},    // rename
	{83, 39, 1, 0},    // mkdir
	{84, 40, 1, 0},    // rmdir
	{85, 8, 1, 0},     // creat
	{86, 9, 1, 0},     // link
	{87, 10, 1, 0},    // unlink
	{88, 83, 2, 0},    // symlink
	{89, 85, 1, 0},    // readlink
	{90, 15, 1, 0},    // chmod
	{92, 182, 1, 0},   // chown
	{none, 212, 1, 0}, // chown32
	{94, 16, 1, 0},    // lchown
	{none, 198, 1, 0}, // lchown32
	{132, 30, 1, 0},   // utime
	{133, 14, 1, 0},   // mknod
	{137, 99, 1, 0},   // statfs
	{none, 268, 1, 0}, // statfs64
	{155, 217, 1, 0},  // pivot_root
	{161, 61, 1, 0},   // chroot
	{165, 21, 2, 0},   // mount
	{166, 52, 1, 0},   // umount2
	{188, 226, 1, 0},  // setxattr
	{191, 229, 1, 0},  // getxattr
	{192, 230, 1, 0},  // lgetxattr
	{194, 232, 1, 0},  // listxattr
	{235, 271, 1, 0},  // utimes
	{254, 292, 2, 0},  // inotify_add_watch
	{257, 295, 2, 0},  // openat
	{258, 296, 2, 0},  // mkdirat
	{259, 297, 2, 0},  // mknodat
	{260, 298, 2, 0},  // fchownat
	{261, 299, 2, 0},  // futimesat
	{262, 300, 2, 0},  // newfstatat, fstatat64
	{263, 301, 2, 0},  // unlinkat
	{264, 302, 2, 0},  // renameat
	{265, 303, 2, 0},  // linkat
	{266, 304, 3, 0},  // symlinkat
	{267, 305, 2, 0},  // readlinkat
	{268, 306, 2, 0},  // fchmodat
	{269, 307, 2, 0},  // faccessat
	{280, 320, 2, 0},  // utimensat
	{303, 341, 2, 0},  // name_to_handle_at
	{316, 353, 2, 0},  // renameat2
	{322, 358, 2, 0},  // execveat
	{332, 383, 2, 0},  // statx
	{428, 428, 2, 0},  // open_tree
	{429, 429, 2, 0},  // move_mount
	{437, 437, 2, 0},  // openat2
	{439, 439, 2, 0},  // faccessat2
	{452, 452, 2, 0},  // fchmodat2
	{50, 363, 0, EventListen},
	{49, 361, 0, EventBind},
	{43, none, 0, EventAccept},
	{288, 364, 0, EventAccept}, // accept4
	{none, 102, 0, kindSocketcall},
	{232, 256, 0, EventWait},  // epoll_wait
	{281, 319, 0, EventWait},  // epoll_pwait
	{441, 441, 0, EventWait},  // epoll_pwait2
	{7, 168, 0, EventWait},    // poll
	{271, 309, 0, EventWait},  // ppoll
	{none, 414, 0, EventWait}, // ppoll_time64
	{23, 142, 0, EventWait},   // select
	{none, 82, 0, EventWait},  // old_select
	{270, 308, 0, EventWait},  // pselect6
	{none, 413, 0, EventWait}, // pselect6_time64
	{317, 354, 0, EventSeccomp},
	{157, 172, 0, kindPrctl},
	{425, 425, 0, EventUringNew},
}

// classes is the table for the kernel: per ABI and number, the event in the high
// four bits and the path argument in the low ones. x32 shares x86_64's numbers,
// but for those that it moved to 512 and up.
func classes() (t [tableABIs][tableNrs]uint8) {
	for _, s := range specials {
		class := uint8(s.event)<<4 | uint8(s.path)
		if s.x86_64 != none {
			t[X86_64][s.x86_64] = class
			t[X32][s.x86_64] = class
		}
		if s.i386 != none {
			t[I386][s.i386] = class
		}
	}
	t[X32][520] = t[X86_64][59]  // execve
	t[X32][545] = t[X86_64][322] // execveat
	return t
}
