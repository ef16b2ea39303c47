// Package apply makes a policy so, on processes that run or are about to:
// checks before (Preflight), a reversible hold from a program's first
// instruction (StartHold), a permanent filter in running processes (Inject), the
// proof after (Prove), and the start of commands (Launch).
//
// What stops other processes runs in a process of its own (apply/injector, by
// way of apply/ptrace), and what answers for a hold in another (apply/keeper),
// so that this one may die at any moment. All of it needs root, that is
// CAP_SYS_PTRACE and CAP_SYS_ADMIN, and CAP_DAC_READ_SEARCH where the target runs as
// another user; Linux 5.11 on x86-64.
package apply

import (
	"os"
	"runtime"

	"speaker/apply/injector"
	"speaker/apply/keeper"
)

// LaunchWord is the argument that makes our binary the launcher.
const LaunchWord = "_launch"

func init() {
	// The launcher execs from the thread that main runs on; see LaunchMain.
	if len(os.Args) > 1 && os.Args[1] == LaunchWord {
		runtime.LockOSThread()
	}
}

// InjectMain is the `_inject` process. It is not for people.
func InjectMain(args []string) int { return injector.Main(args) }

// KeeperMain is the `_keeper` process. It is not for people.
func KeeperMain(args []string) int { return keeper.Main(args) }
