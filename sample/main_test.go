package sample

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The test binary plays the parts of the demo, as speaker does.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch rest := os.Args[2:]; os.Args[1] {
	case InitWord:
		os.Exit(InitMain(rest))
	case "_demo-serve":
		if len(rest) == 1 {
			denyOnSignal()
		}
		os.Exit(ServeMain(rest))
	case "_demo-help":
		os.Exit(HelpMain(rest))
	case starterWord:
		os.Exit(starterMain(rest))
	}
	os.Exit(m.Run())
}

// denyFile holds the numbers of the calls that denyOnSignal is to refuse.
const denyFile = "/tmp/deny"

// denyOnSignal makes the server's master install, at SIGUSR1, a filter that
// refuses calls, as a workbench would from outside.
func denyOnSignal() {
	ask := make(chan os.Signal, 1)
	signal.Notify(ask, unix.SIGUSR1)
	go func() {
		runtime.LockOSThread()
		<-ask
		data, err := os.ReadFile(denyFile)
		if err == nil {
			err = deny(strings.Fields(string(data)))
		}
		if err != nil {
			fmt.Println("deny:", err)
		}
	}()
}

// deny refuses calls with EPERM in all threads of this process, for good.
func deny(numbers []string) error {
	prog := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for _, word := range numbers {
		nr, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return err
		}
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)})
	}
	prog = append(prog, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return errno
	}
	return nil
}
