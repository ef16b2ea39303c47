package proc

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"speaker/trace"
)

// Each server sleeps in another call on a listening socket; each is found, with
// that call and the address.
func TestListenWaits(t *testing.T) {
	path := program(t, "waits.c", "-pthread")
	tests := []struct {
		how, what string
		nr        uint32
		addr      string // %s: the port, or the pid
	}{
		{"accept", "tcp", 43, "tcp 127.0.0.1:%s"},
		{"accept", "tcp6", 43, "tcp6 [::1]:%s"},
		{"accept", "unix", 43, "unix @speaker waits %s"},
		{"accept", "seqpacket", 43, "unix @speaker waits %s"},
		{"accept4", "tcp", 288, "tcp 127.0.0.1:%s"},
		{"epoll_wait", "tcp", 232, "tcp 127.0.0.1:%s"},
		{"epoll_wait", "unix", 232, "unix @speaker waits %s"},
		{"epoll_pwait", "tcp", 281, "tcp 127.0.0.1:%s"},
		{"epoll_pwait2", "tcp", 441, "tcp 127.0.0.1:%s"},
		{"nested", "tcp", 232, "tcp 127.0.0.1:%s"},
		{"large set", "tcp", 232, "tcp 127.0.0.1:%s"},
		{"moved", "tcp", 232, "tcp 127.0.0.1:%s"},
		{"poll", "tcp", 7, "tcp 127.0.0.1:%s"},
		{"poll", "unix", 7, "unix @speaker waits %s"},
		{"ppoll", "tcp6", 271, "tcp6 [::1]:%s"},
		{"select", "tcp", 23, "tcp 127.0.0.1:%s"},
		{"pselect6", "tcp", 270, "tcp 127.0.0.1:%s"},
		{"dead leader", "tcp", 43, "tcp 127.0.0.1:%s"},
		{"private table", "tcp", 43, "tcp 127.0.0.1:%s"},
		{"netns", "tcp", 43, "tcp 0.0.0.0:%s"},
	}
	for _, x := range tests {
		t.Run(x.how+" "+x.what, func(t *testing.T) {
			pid, line := start(t, path, x.how, x.what)
			if strings.HasPrefix(x.addr, "unix") {
				line = fmt.Sprint(pid)
			}
			expectWait(t, pid, trace.X86_64, x.nr, fmt.Sprintf(x.addr, line))
		})
	}
}

func expectWait(t *testing.T, pid int, abi trace.ABI, nr uint32, addr string) {
	t.Helper()
	var got []Wait
	eventually(t, "a wait on "+addr, func() bool {
		got = ListenWaits([]int{pid})
		return len(got) > 0
	})
	if len(got) != 1 || got[0].Pid != pid || got[0].ABI != abi || got[0].Nr != nr || got[0].Addr != addr || got[0].Comm == "" {
		t.Errorf("got %+v, want call %d on %s", got, nr, addr)
	}
}

// The same from 32-bit programs, whose calls have other numbers and shapes.
func TestListenWaits386(t *testing.T) {
	path := program(t, "waits386.c", "-m32", "-fno-pic", "-ffreestanding", "-nostdlib", "-fno-stack-protector")
	if err := exec.Command(path, "none").Run(); err != nil {
		t.Skip("this kernel runs no 32-bit programs: ", err)
	}
	for how, nr := range map[string]uint32{"accept4": 364, "socketcall": 102, "poll": 168, "select": 142, "old select": 82, "epoll_wait": 256} {
		t.Run(how, func(t *testing.T) {
			pid, _ := start(t, path, how)
			var got []Wait
			eventually(t, "a wait", func() bool {
				got = ListenWaits([]int{pid})
				return len(got) > 0
			})
			if len(got) != 1 || got[0].ABI != trace.I386 || got[0].Nr != nr || !strings.HasPrefix(got[0].Addr, "tcp 0.0.0.0:") {
				t.Errorf("got %+v, want i386 call %d", got, nr)
			}
			if i, err := Read(pid); err != nil || !i.Compat32 {
				t.Errorf("not told as a 32-bit program: %+v, %v", i, err)
			}
		})
	}
}

// Who sleeps otherwise, or would not wake for a connection, does not wait for one.
func TestNoListenWaits(t *testing.T) {
	path := program(t, "waits.c", "-pthread")
	tests := []struct {
		how, what string
		nr        int32 // the call it sleeps in; -1: any
	}{
		{"pause", "tcp", 34},
		{"accept", "none", -1},
		{"epoll_wait", "none", 232},
		{"poll", "none", 7},
		{"select", "none", 23},
		{"nested twice", "tcp", 232},
		{"unready set", "tcp", 232},
		{"reused", "tcp", 232},
		{"poll to write", "tcp", 7},
		{"select to write", "tcp", 23},
		{"bad pointer", "tcp", 7},
	}
	for _, x := range tests {
		t.Run(x.how+" "+x.what, func(t *testing.T) {
			pid, _ := start(t, path, x.how, x.what)
			if x.nr >= 0 {
				eventually(t, "asleep", func() bool {
					th := Threads([]int{pid})
					return len(th) == 1 && th[0].Nr == x.nr && th[0].State == 'S'
				})
			}
			if got := ListenWaits([]int{pid}); got != nil {
				t.Errorf("got %+v", got)
			}
		})
	}
	if got := ListenWaits([]int{1 << 30, -1, 0}); got != nil {
		t.Errorf("of no process: got %+v", got)
	}
}

// A program that serves its own page faults, and never does, holds nobody up.
func TestHang(t *testing.T) {
	pid, _ := start(t, program(t, "waits.c", "-pthread"), "hang")
	began := time.Now()
	for range 20 {
		ListenWaits([]int{pid})
	}
	if d := time.Since(began); d > 10*maxPatience {
		t.Errorf("20 looks took %v", d)
	}
	patient.mu.Lock()
	if !patient.stuck[pid] {
		t.Error("it answered: this test shows nothing")
	}
	patient.mu.Unlock()
	if th := Threads([]int{pid}); len(th) != 2 {
		t.Errorf("its threads are %+v", th)
	}
	other, line := start(t, program(t, "waits.c", "-pthread"), "poll")
	expectWait(t, other, trace.X86_64, 7, "tcp 127.0.0.1:"+line)
}
