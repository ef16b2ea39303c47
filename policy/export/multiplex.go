package export

import (
	"slices"

	"speaker/policy"
)

// The calls that i386 programs may also make by way of socketcall and ipc, with
// the number that says which as the first argument. From linux/net.h and
// linux/ipc.h.
var (
	socketcalls = map[string]uint64{
		"socket": 1, "bind": 2, "connect": 3, "listen": 4, "accept": 5, "getsockname": 6,
		"getpeername": 7, "socketpair": 8, "send": 9, "recv": 10, "sendto": 11, "recvfrom": 12,
		"shutdown": 13, "setsockopt": 14, "getsockopt": 15, "sendmsg": 16, "recvmsg": 17,
		"accept4": 18, "recvmmsg": 19, "sendmmsg": 20,
	}
	ipcs = map[string]uint64{
		"semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12,
		"msgget": 13, "msgctl": 14, "shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
	}
)

// multiplexed returns the rule about socketcall or ipc that libseccomp adds to one
// about i386's socket or ipc calls: the first argument becomes the number, the
// other conditions stay, although they then look at other things.
func multiplexed(name string, when []policy.Condition) (policy.Rule, bool) {
	by, nr := "socketcall", socketcalls[name]
	if nr == 0 {
		by, nr = "ipc", ipcs[name]
	}
	c, err := policy.ParseCall("i386:" + by)
	if nr == 0 || err != nil {
		return policy.Rule{}, false
	}
	when = slices.DeleteFunc(slices.Clone(when), func(c policy.Condition) bool { return c.Arg == 0 })
	when, ok := halved(policy.I386, append(when, policy.Condition{Arg: 0, Op: policy.Equal, Value: nr}))
	return policy.Rule{Call: c, When: when}, ok
}
