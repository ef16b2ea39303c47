package policy

// essential is a call that every filter allows unless it is denied by hand.
type essential struct{ name, why string }

var essentials = []essential{
	{"exit", "a thread that cannot end spins or crashes"},
	{"exit_group", "a process that cannot end spins or crashes"},
	{"rt_sigreturn", "every signal handler returns by it"},
	{"restart_syscall", "the kernel resumes an interrupted sleep by it"},
}

var i386Essentials = append([]essential{
	{"sigreturn", "signal handlers set up the old way return by it"},
}, essentials...)

// essentialsOf returns the essential calls of an ABI with the reason of each.
func essentialsOf(a ABI) map[Call]string {
	list := essentials
	if a == I386 {
		list = i386Essentials
	}
	out := make(map[Call]string, len(list))
	for _, e := range list {
		out[Call{a, numbers()[a][e.name]}] = e.why
	}
	return out
}
