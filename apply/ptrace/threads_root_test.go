package ptrace

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tryInject installs one filter from a process of its own.
func (v *victim) tryInject(n int) outcome {
	v.t.Helper()
	b, err := exec.Command("/proc/self/exe", "inject", strconv.Itoa(v.pid()), strconv.Itoa(n), strconv.Itoa(n+1), "0").Output()
	if err != nil {
		v.t.Fatal(err)
	}
	var o outcome
	if err := json.Unmarshal(b, &o); err != nil {
		v.t.Fatal(err)
	}
	return o
}

// filters counts the filters of each thread, by its name in /proc.
func (v *victim) filters() map[int]int {
	v.t.Helper()
	out := map[int]int{}
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", v.pid()))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", v.pid(), n.Name()))
		if err != nil {
			v.t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "\nSeccomp_filters:\t")
		line, _, _ := strings.Cut(rest, "\n")
		tid, _ := strconv.Atoi(n.Name())
		if out[tid], err = strconv.Atoi(line); err != nil {
			v.t.Fatal(err)
		}
	}
	return out
}

// other is the thread that is not the leader.
func (v *victim) other() int {
	v.t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for tid := range v.filters() {
			if tid != v.pid() {
				return tid
			}
		}
	}
	v.t.Fatal("there is no second thread")
	return 0
}

// No number of groups hides a thread.
func TestInstallInThreadOfManyGroups(t *testing.T) {
	v := start(t, "groups")
	v.hears("the groups of its thread")
	if o := v.tryInject(1); o.Err != "" {
		t.Fatal(o.Err)
	}
	if got, other := v.filters(), v.other(); got[v.pid()] != 1 || got[other] != 2 {
		t.Errorf("filters by thread: %v", got)
	}
	if o := v.tryInject(1); o.Err != "" || !o.Result.Already {
		t.Errorf("again: %+v", o)
	}
	v.lives("the filter")
}

// A process of which one thread could not be served is not taken for a finished
// one, though each of its threads has one filter.
func TestInstallMendsWhatIsHalf(t *testing.T) {
	v := start(t, "diverged")
	other := v.other()
	children := fmt.Sprintf("/proc/%d/task/%d/children", v.pid(), other)
	child := 0
	for end := time.Now().Add(5 * time.Second); child == 0; time.Sleep(time.Millisecond) {
		b, _ := os.ReadFile(children)
		child, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		if time.Now().After(end) {
			t.Fatal("no vfork was seen")
		}
	}
	defer func() { _ = unix.Kill(child, unix.SIGKILL) }()
	for range 2 {
		if o := v.tryInject(1); o.Err == "" || !o.Result.Partly || !strings.Contains(o.Err, "some of its threads") {
			t.Fatalf("with a thread that cannot be stopped: %+v", o)
		}
		if got := v.filters(); got[v.pid()] != 1 || got[other] != 1 {
			t.Fatalf("filters by thread: %v", got)
		}
	}
	if err := unix.Kill(child, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if o := v.tryInject(1); o.Err != "" || o.Result.Already || o.Result.Partly {
		t.Fatalf("once it can be stopped: %+v", o)
	}
	if got := v.filters(); got[v.pid()] != 1 || got[other] != 2 {
		t.Errorf("filters by thread: %v", got)
	}
	v.lives("the filter")
}

// Numbers that have a new owner are not taken for the old one's.
func TestStopTaskOfAnother(t *testing.T) {
	needRoot(t)
	runtime.LockOSThread() // never unlocked: the thread that traces ends with the test
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	p, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := Tasks(p.Pid)
	if err != nil || len(tasks) != 1 {
		t.Fatalf("%v %v", tasks, err)
	}
	other, task := p, tasks[0]
	other.Start--
	if _, err := StopTask(other, task); !errors.Is(err, ErrGone) {
		t.Errorf("another process: %v", err)
	}
	task.Start--
	if _, err := StopTask(p, task); !errors.Is(err, ErrGone) {
		t.Errorf("another thread: %v", err)
	}
	if _, err := Install(other, denying(unix.SYS_GETPPID, 1)); !errors.Is(err, ErrGone) {
		t.Errorf("install in another process: %v", err)
	}
	th, err := StopTask(p, tasks[0])
	if err != nil {
		t.Fatal(err)
	}
	th.Detach()
}

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 -1 6 7 8 9 10 11 12 13 14 15 16 3 0 4711 19"
	for _, tt := range []struct {
		name, in string
		want     stat
		ok       bool
	}{
		{"plain", "12 (cat)" + rest, stat{"cat", 'S', 3, 4711}, true},
		{"hostile", "12 (x) R 1\n()" + rest, stat{"x) R 1\n(", 'S', 3, 4711}, true},
		{"empty", "", stat{}, false},
		{"no fields", "12 (cat)", stat{}, false},
		{"cut", "12 (cat) S 1 2", stat{}, false},
		{"no number", "12 (cat)" + strings.Replace(rest, "4711", "x", 1), stat{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat(tt.in)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
