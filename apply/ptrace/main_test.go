package ptrace

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the process that injects: so that it can be killed,
// and because it must not be the parent of what it stops.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "inject" {
		os.Exit(inject(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "listen" {
		os.Exit(listen(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "leave" {
		os.Exit(leaveSignalled(os.Args[2]))
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// outcome is what the injecting process prints, once per filter.
type outcome struct {
	Result Result
	Err    string
}

// inject PID FROM TO STEP installs the filters FROM to TO-1 in PID, and kills
// itself at STEP.
func inject(args []string) int {
	runtime.LockOSThread()
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(args[i])
	}
	dieAt(n[3])
	out := json.NewEncoder(os.Stdout)
	for i := n[1]; i < n[2]; i++ {
		var o outcome
		p, err := Identify(n[0])
		if err == nil {
			o.Result, err = Install(p, denying(unix.SYS_GETPPID, uint32(i)))
		}
		if err != nil {
			o.Err = err.Error()
		}
		if out.Encode(o) != nil {
			return 1
		}
	}
	return 0
}

// dieAt kills this process at a step; 0 is never.
func dieAt(n int) {
	step := 0
	OnStep = func() {
		if step++; step == n {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {}
		}
	}
}

// listen PID STEP catches the next exec of PID and installs a filter with a
// listener, which this process keeps until it ends.
func listen(args []string) int {
	runtime.LockOSThread()
	pid, _ := strconv.Atoi(args[0])
	step, _ := strconv.Atoi(args[1])
	dieAt(step)
	var o outcome
	err := func() error {
		w, err := WatchExec(pid)
		if err != nil {
			return err
		}
		fmt.Println("ready")
		t, err := w.Exec(func() bool { return false })
		if err != nil {
			return err
		}
		o.Result, err = t.InstallListener(notifying(unix.SYS_GETPPID), func(int) error { return nil })
		return err
	}()
	if err != nil {
		o.Err = err.Error()
	}
	if json.NewEncoder(os.Stdout).Encode(o) != nil {
		return 1
	}
	return 0
}

// leaveSignalled seizes a process, says so, and gives up on it once it has
// stopped for a signal.
func leaveSignalled(arg string) int {
	runtime.LockOSThread()
	pid, _ := strconv.Atoi(arg)
	if err := seize(pid, 0); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("seized")
	for {
		if s, err := readStat("/proc/" + arg + "/stat"); err != nil || s.state == 't' {
			break
		}
		nap()
	}
	t := &Thread{Tid: pid}
	t.leave()
	ReapFor(time.Second)
	return 0
}

// denying is a filter that fails one call.
func denying(nr uint32, errno uint32) []unix.SockFilter {
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | errno},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
}
