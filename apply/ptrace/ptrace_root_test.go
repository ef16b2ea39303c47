package ptrace

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var buildDir string // removed by TestMain

// build makes the program that the tests stop. Where there is no compiler,
// SPEAKER_TEST_PROGRAMS names a directory with it.
var build = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("SPEAKER_TEST_PROGRAMS"); dir != "" {
		return filepath.Join(dir, "target"), nil
	}
	dir, err := os.MkdirTemp("", "speaker-ptrace")
	if err != nil {
		return "", err
	}
	buildDir = dir
	out := filepath.Join(dir, "target")
	if b, err := exec.Command("cc", "-O1", "-o", out, "testdata/target.c", "-lpthread").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, b)
	}
	return out, nil
})

// victim is a running testdata/target.
type victim struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *os.File
	dead chan struct{}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: stops other processes")
	}
}

func start(t *testing.T, how string) *victim {
	t.Helper()
	needRoot(t)
	path, err := build()
	if err != nil {
		t.Skip("needs a C compiler: ", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, cmd: exec.Command(path, how), out: r, dead: make(chan struct{})}
	v.cmd.Stdout = w
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() { _ = v.cmd.Wait(); close(v.dead) }()
	t.Cleanup(func() {
		_ = v.cmd.Process.Kill()
		<-v.dead
		r.Close()
	})
	v.hears("its start")
	return v
}

func (v *victim) pid() int { return v.cmd.Process.Pid }

// hears waits for the byte with which the victim answers.
func (v *victim) hears(what string) {
	v.t.Helper()
	// Long, for an emulated machine takes seconds to stop threads that spin.
	_ = v.out.SetReadDeadline(time.Now().Add(30 * time.Second))
	if n, err := v.out.Read(make([]byte, 1)); n != 1 {
		select {
		case <-v.dead:
			v.t.Fatalf("after %s: the process is dead: %v", what, v.cmd.ProcessState)
		default:
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.pid()))
			s, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", v.pid()))
			v.t.Fatalf("after %s: no answer: %v\n%s%s", what, err, b, s)
		}
	}
}

// waits until the victim sleeps in its call: pause and its like lose a signal
// that comes just before.
func (v *victim) waits(what string) {
	v.t.Helper()
	v.waitsIn(map[string]string{"pause": "34 ", "epoll_wait": "232 ", "recv": "45 "}[strings.TrimPrefix(v.cmd.Args[1], "+")], what)
}

// waitsIn waits until the victim sleeps in the call of that number.
func (v *victim) waitsIn(nr, what string) {
	v.t.Helper()
	for end := time.Now().Add(5 * time.Second); nr != ""; time.Sleep(time.Millisecond) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", v.pid()))
		if strings.HasPrefix(string(b), nr) {
			return
		}
		if time.Now().After(end) {
			v.t.Fatalf("after %s: it does not wait: %s", what, b)
		}
	}
}

// lives asks the victim to answer.
func (v *victim) lives(what string) {
	v.t.Helper()
	v.waits(what)
	if err := unix.Kill(v.pid(), unix.SIGUSR1); err != nil {
		v.t.Fatalf("after %s: %v", what, err)
	}
	v.hears(what)
}

// field reads a number from the status of the victim's live threads.
func (v *victim) field(name string) int {
	v.t.Helper()
	tasks, err := Tasks(v.pid())
	if err != nil || len(tasks) == 0 {
		<-v.dead
		v.t.Fatalf("list threads: %v: %v", err, v.cmd.ProcessState)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", v.pid(), tasks[0].Tid))
	if err != nil {
		v.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil {
				v.t.Fatal(err)
			}
			return n
		}
	}
	v.t.Fatalf("no %s in status", name)
	return 0
}

// clean says whether the vdso's last slot is free, as it was at first.
func (v *victim) clean() bool {
	tasks, _ := Tasks(v.pid())
	var s slot
	_, hi, err := vdso(tasks[0].Tid)
	if err != nil {
		v.t.Fatal(err)
	}
	if err := s.find(tasks[0].Tid); err != nil {
		v.t.Fatal(err)
	}
	return s.addr == hi-slotSize
}

// inject installs filters in the victim from a process of its own; killed says
// that this died at the step.
func (v *victim) inject(from, to, step int) (results []Result, killed bool) {
	v.t.Helper()
	cmd := exec.Command("/proc/self/exe", "inject", strconv.Itoa(v.pid()), strconv.Itoa(from), strconv.Itoa(to), strconv.Itoa(step))
	b, err := cmd.Output()
	var exit *exec.ExitError
	killed = errors.As(err, &exit) && exit.ExitCode() == -1
	if err != nil && !killed {
		v.t.Fatalf("injector: %v", err)
	}
	for line := range strings.Lines(string(b)) {
		var o outcome
		if err := json.Unmarshal([]byte(line), &o); err != nil || o.Err != "" {
			v.t.Errorf("injector: %v %s", err, o.Err)
		}
		results = append(results, o.Result)
	}
	return results, killed
}

var ways = []string{"registers", "sigsuspend", "ppoll", "epoll", "epoll_wait", "pause", "nanosleep", "recv", "threads", "leaderless"}

func TestInstallLeavesTheProcessAsItWas(t *testing.T) {
	for _, how := range ways {
		t.Run(how, func(t *testing.T) {
			v := start(t, how)
			results, _ := v.inject(1, 21, 0)
			for i, r := range results {
				if r.Already || r.NoNewPrivs {
					t.Errorf("round %d: %+v", i, r)
				}
			}
			t.Logf("stopped for %v, then %v", results[0].Stopped, results[10].Stopped)
			if n := v.field("Seccomp_filters"); n != 20 {
				t.Errorf("%d filters, want 20", n)
			}
			if again, _ := v.inject(20, 21, 0); !again[0].Already {
				t.Errorf("again: %+v", again)
			}
			if !v.clean() {
				t.Error("something is left in the vdso")
			}
			if n := v.field("TracerPid"); n != 0 {
				t.Errorf("traced by %d", n)
			}
			v.lives("20 filters")
		})
	}
}

// Signals that come while calls are made must arrive, end the waits that they
// end, and arrive once.
func TestSignalsDuringInstall(t *testing.T) {
	for _, how := range []string{"registers", "sigsuspend", "ppoll", "epoll", "threads"} {
		t.Run(how, func(t *testing.T) {
			v := start(t, how)
			stop := make(chan struct{})
			var group sync.WaitGroup
			group.Add(1)
			go func() {
				defer group.Done()
				v.inject(1, 61, 0)
				close(stop)
			}()
			defer group.Wait()
			n := 0
			for {
				select {
				case <-stop:
					t.Logf("%d signals answered", n)
					if n < 5 {
						t.Error("too few signals for a test")
					}
					return
				default:
					v.lives(fmt.Sprintf("signal %d", n))
					n++
				}
			}
		})
	}
}

// Our death at any step leaves the target alive, running, and with all of the
// filter or nothing of it; and the next injector can do its work. A call that
// knows no restart may show the stop as an EINTR (+).
func TestKillAtEveryStep(t *testing.T) {
	for _, how := range []string{"registers", "sigsuspend", "+epoll_wait", "+recv", "nanosleep", "pause"} {
		t.Run(how, func(t *testing.T) {
			for die := 1; ; die++ {
				if die > 200 {
					t.Fatal("it never ends")
				}
				v := start(t, how)
				_, killed := v.inject(1, 2, die)
				what := fmt.Sprintf("death at step %d", die)
				if how == "sigsuspend" {
					v.waitsIn("130 ", what) // it, too, loses a signal within our call
				}
				v.lives(what)
				if n := v.field("Seccomp_filters"); n > 1 || n != 1 && !killed {
					t.Fatalf("after %s: %d filters", what, n)
				}
				v.inject(99, 100, 0)
				v.lives("another injection after " + what)
				if !killed {
					t.Logf("%d steps", die-1)
					return
				}
				_ = v.cmd.Process.Kill()
			}
		})
	}
}
