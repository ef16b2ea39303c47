package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// start runs a command that is killed, if it still runs, when the test ends.
func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// collector keeps all events of a tracer.
type collector struct {
	tr     *Tracer
	events []Event
}

// find waits for an event of the kind that is ok.
func (c *collector) find(t testing.TB, kind EventKind, ok func(Event) bool) Event {
	t.Helper()
	var found Event
	until(t, fmt.Sprintf("an event of kind %d came", kind), func() bool {
		c.events = c.tr.Events(c.events)
		i := slices.IndexFunc(c.events, func(e Event) bool { return e.Kind == kind && ok(e) })
		if i >= 0 {
			found = c.events[i]
		}
		return i >= 0
	})
	return found
}

func (c *collector) count(kind EventKind, pid int) (n int) {
	for _, e := range c.events {
		if e.Kind == kind && int(e.Pid) == pid {
			n++
		}
	}
	return n
}

// A server's life: it enters, executes, binds, listens, waits, accepts, gets a
// signal and ends. Each is told, in this order, once.
func TestServerLife(t *testing.T) {
	needRoot(t)
	cg := anyCgroup(t)
	c := &collector{tr: open(t, Config{CgroupPath: cg, SameMountNS: true})}
	self, _ := os.Executable()
	cmd := enter(t, cg, self, "_serve")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	// A client that comes before the first accept would spare the server the wait.
	pid := cmd.Process.Pid
	mine := func(e Event) bool { return int(e.Pid) == pid }
	listen := c.find(t, EventListen, mine)
	if e := c.find(t, EventWait, func(e Event) bool { return mine(e) && e.Time > listen.Time }); e.Group != Main {
		t.Errorf("wait after listen %+v", e)
	}
	for range 3 {
		conn, err := net.Dial("tcp", strings.TrimSpace(addr))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exit := c.find(t, EventExit, mine)
	if exit.Args[0]&0x7f != uint64(syscall.SIGTERM) {
		t.Errorf("exit status %#x, not killed by SIGTERM", exit.Args[0])
	}
	var last uint64
	for _, kind := range []EventKind{EventEnter, EventExec, EventBind, EventListen, EventAccept, EventSignal, EventExit} {
		e := c.find(t, kind, mine)
		if e.Time <= last {
			t.Errorf("event %d came before the one that should precede it", kind)
		}
		last = e.Time
		// The Go runtime dies of a SIGTERM by sending it to itself again.
		if n := c.count(kind, pid); n != 1 && kind != EventSignal {
			t.Errorf("event %d was told %d times", kind, n)
		}
	}
	if e := c.find(t, EventExec, mine); e.Path != self || e.Group != Main {
		t.Errorf("exec %+v, want %s in Main", e, self)
	}
	if e := c.find(t, EventEnter, mine); e.Group != Init {
		t.Errorf("entered in group %d", e.Group)
	}
	if e := c.find(t, EventSignal, mine); e.Args != [2]uint64{15, uint64(os.Getpid())} {
		t.Errorf("signal %v, want 15 from %d", e.Args, os.Getpid())
	}
}

// A process that is cloned straight into the cgroup (as crun does) never moves
// there. v2 only.
func TestCloneIntoCgroup(t *testing.T) {
	needRoot(t)
	v2 := hierarchies(t)["v2"]
	if v2 == "" {
		t.Skip("no cgroup v2")
	}
	cg := cgroup(t, v2)
	c := &collector{tr: open(t, Config{CgroupPath: cg, SameMountNS: true})}
	dir, err := os.Open(cg)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command(program(t, "forks"), "child")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	run(t, cmd)
	c.find(t, EventEnter, func(e Event) bool { return int(e.Pid) == cmd.Process.Pid })
	var sum total
	sum.add(t, c.tr)
	if n := sum.counts[key{Main, native, unix.SYS_GETUID}]; n != 5 {
		t.Errorf("counted %d getuid, made 5", n)
	}
	if n := sum.counts[key{Init, native, unix.SYS_EXECVE}]; n != 1 {
		t.Errorf("counted %d execve before the program, made 1", n)
	}
}

// A cgroup that gets an armed name, one that is made below it, a process that
// goes there, leaves, and comes back.
func TestArmedNestedLeave(t *testing.T) {
	needRoot(t)
	for name, path := range hierarchies(t) {
		t.Run(name, func(t *testing.T) {
			controller := strings.TrimPrefix(strings.TrimPrefix(name, "v2"), "v1 ")
			cgroups++
			leaf := fmt.Sprintf("speaker-trace-test-%d-%d", os.Getpid(), cgroups)
			cgroups--
			c := &collector{tr: open(t, Config{Arm: []string{leaf}, Controller: controller, SameMountNS: true})}
			cg := cgroup(t, path)
			if filepath.Base(cg) != leaf {
				t.Fatalf("made %s, armed %s", cg, leaf)
			}
			nested := cg + "/below"
			if err := os.Mkdir(nested, 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := enter(t, nested, "/bin/cat")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			start(t, cmd)
			pid := cmd.Process.Pid
			mine := func(e Event) bool { return int(e.Pid) == pid }
			c.find(t, EventExec, mine)
			if got := c.tr.Pids(); !slices.Equal(got, []int{pid}) {
				t.Errorf("pids %v, want %d", got, pid)
			}
			move(t, cg, pid) // up, still inside
			if got := c.tr.Pids(); !slices.Equal(got, []int{pid}) {
				t.Errorf("pids %v after a move inside, want %d", got, pid)
			}
			move(t, path, pid)
			c.find(t, EventLeave, mine)
			if got := c.tr.Pids(); len(got) != 0 {
				t.Errorf("pids %v after it left", got)
			}
			move(t, nested, pid)
			if n := c.count(EventEnter, pid); n != 1 {
				t.Errorf("entered %d times before it came back", n)
			}
			in.Close()
			cmd.Wait()
			c.find(t, EventExit, mine)
			c.events = c.tr.Events(c.events)
			if n := c.count(EventEnter, pid); n != 2 {
				t.Errorf("entered %d times", n)
			}
			until(t, "the nested cgroup can be removed", func() bool { return unix.Rmdir(nested) == nil })
		})
	}
}

func move(t testing.TB, cgroup string, pid int) {
	t.Helper()
	if err := os.WriteFile(cgroup+"/cgroup.procs", []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// Processes that are there already are the program, with their descendants; a
// tree needs no cgroup.
func TestTree(t *testing.T) {
	needBPF(t)
	script := "sleep 100 & echo ready; read x; " + program(t, "forks") + " child; sleep 100"
	cmd := exec.Command("/bin/sh", "-c", script)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	start(t, cmd)
	t.Cleanup(func() { unix.Kill(-cmd.Process.Pid, unix.SIGKILL) })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	tr := open(t, Config{Pid: cmd.Process.Pid})
	if tr.StartSeen() {
		t.Error("the start of a running process was seen")
	}
	if got := tr.Pids(); len(got) != 2 || got[0] != cmd.Process.Pid {
		t.Errorf("pids %v, want %d and its child", got, cmd.Process.Pid)
	}
	fmt.Fprintln(in, "go")
	var sum total
	until(t, "the child made its calls", func() bool {
		sum.add(t, tr)
		return sum.counts[key{Main, native, unix.SYS_GETUID}] >= 5
	})
	if n := len(sum.group(Init)) + len(sum.group(Exec)); n != 0 {
		t.Errorf("%d calls are not in Main", n)
	}
}

// A launcher that waits is no program yet: the exec makes it one.
func TestWaitingLauncher(t *testing.T) {
	needBPF(t)
	cmd := enter(t, "-", program(t, "forks"), "child")
	in, _ := cmd.StdinPipe()
	start(t, cmd)
	tr := open(t, Config{Pid: cmd.Process.Pid, Waiting: true, SameMountNS: true})
	if !tr.StartSeen() {
		t.Error("the start was not seen")
	}
	fmt.Fprintln(in, "go")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var sum total
	sum.add(t, tr)
	if n := sum.counts[key{Main, native, unix.SYS_GETUID}]; n != 5 {
		t.Errorf("counted %d getuid, made 5", n)
	}
	if sum.counts[key{Init, native, unix.SYS_EXECVE}] != 1 || sum.counts[key{Main, native, unix.SYS_EXECVE}] != 0 {
		t.Errorf("execve: %v", sum.counts)
	}
}

// A path argument comes with the first use of a call, whatever the rate.
func TestSamples(t *testing.T) {
	needRoot(t)
	cg := anyCgroup(t)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true, SampleRate: 20})
	run(t, enter(t, cg, "/bin/cat", "/etc/hostname", "/etc/hosts"))
	samples := tr.Samples(nil)
	first := []string{"/etc/ld.so.cache", "/etc/hostname"} // a static one has no linker
	i := slices.IndexFunc(samples, func(s Sample) bool { return slices.Contains(first, s.Path) && s.Nr == unix.SYS_OPENAT })
	if i < 0 {
		t.Fatalf("no openat of %q among %+v", first, samples)
	}
	if s := samples[i]; s.Comm != "cat" || s.Group != Main || s.Args[0]&0xffffffff != 0xffffff9c || s.Tid != s.Pid {
		t.Errorf("sample %+v", s)
	}
	if again := tr.Samples(nil); len(again) != 0 {
		t.Errorf("%d samples came twice", len(again))
	}
}

func TestJudge(t *testing.T) {
	needRoot(t)
	cg := anyCgroup(t)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
	notGetuid := func(_ ABI, nr uint32) bool { return nr != unix.SYS_GETUID }
	for round := range 2 { // the second forgets the first
		if err := tr.Judge(notGetuid); err != nil {
			t.Fatal(err)
		}
		run(t, enter(t, cg, program(t, "forks"), "50"))
		if err := tr.Judge(nil); err != nil {
			t.Fatal(err)
		}
		run(t, enter(t, cg, program(t, "forks"), "50"))
		rows, err := tr.Judged()
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 10 {
			t.Errorf("round %d: %d processes, 10 made the call", round, len(rows))
		}
		for _, r := range rows {
			if r.Nr != unix.SYS_GETUID || r.ABI != native || r.Count != 5 || r.Comm != "forks" || r.First > r.Last || r.First == 0 {
				t.Errorf("row %+v, want 5 getuid of forks", r)
			}
		}
	}
}

// Half the calls are refused by the program's own filter: those and only those
// are denials, in every thread and process, and none of them is counted.
func TestDenials(t *testing.T) {
	needRoot(t)
	const n = 20000
	cg := anyCgroup(t)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
	stop := snapshots(t, tr, 100*time.Millisecond)
	cmd := enter(t, cg, program(t, "denied"), strconv.Itoa(n))
	in, _ := cmd.StdinPipe()
	start(t, cmd)
	until(t, "the program waits", func() bool { return len(tr.Pids()) == 1 })
	if err := tr.WatchDenials(true); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(in, "x")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	got := stop()
	sum := map[ProcRow]uint64{}
	for _, r := range denials(t, tr) {
		if r.Comm != "denied" {
			t.Errorf("row %+v", r)
		}
		sum[ProcRow{Nr: r.Nr, Errno: r.Errno}] += r.Count
	}
	want := map[ProcRow]uint64{
		{Nr: unix.SYS_GETPPID, Errno: int32(unix.EPERM)}: 4 * n,
		{Nr: unix.SYS_GETPGID}:                           4 * n,
	}
	if len(sum) != len(want) {
		t.Errorf("denials %v, want %v", sum, want)
	}
	for k, n := range want {
		if sum[k] != n {
			t.Errorf("call %d refused with %d: counted %d, made %d", k.Nr, k.Errno, sum[k], n)
		}
	}
	if c := got.counts[key{Main, native, unix.SYS_GETUID}]; c != 4*n {
		t.Errorf("counted %d getuid, made %d", c, 4*n)
	}
	if c := got.counts[key{Main, native, unix.SYS_GETPPID}]; c != 0 {
		t.Errorf("counted %d calls that were refused", c)
	}
	if err := tr.WatchDenials(false); err != nil {
		t.Fatal(err)
	}
}

// Several goroutines may use a tracer, and close it under one another.
func TestConcurrentUse(t *testing.T) {
	needBPF(t)
	tr := open(t, Config{Pid: os.Getpid()})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				_, err := tr.Snapshot()
				tr.Samples(nil)
				tr.Events(nil)
				tr.Pids()
				if err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // load, not synchronisation
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestClosed(t *testing.T) {
	needBPF(t)
	tr := open(t, Config{Pid: os.Getpid()})
	for range 2 {
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tr.Snapshot(); !errors.Is(err, ErrClosed) {
		t.Errorf("snapshot after close: %v", err)
	}
	if _, err := tr.Judged(); !errors.Is(err, ErrClosed) {
		t.Errorf("judged after close: %v", err)
	}
	if err := tr.Judge(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("judge after close: %v", err)
	}
	if err := tr.WatchDenials(true); !errors.Is(err, ErrClosed) {
		t.Errorf("watch denials after close: %v", err)
	}
	if len(tr.Samples(nil))+len(tr.Events(nil))+len(tr.Pids()) != 0 {
		t.Error("something came out of a closed tracer")
	}
}

// What cannot be watched is refused in one line, and nothing stays loaded
// (TestMain looks for files left open).
func TestOpenRefuses(t *testing.T) {
	needBPF(t)
	for name, c := range map[string]Config{
		"no such cgroup":     {CgroupPath: "/sys/fs/cgroup/speaker-none"},
		"no cgroup":          {CgroupPath: "/etc"},
		"relative path":      {CgroupPath: "pids"},
		"no such controller": {Arm: []string{"x"}, Controller: "speaker"},
		"no such process":    {Pid: 1 << 22},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := Open(c)
			if err == nil {
				tr.Close()
				t.Fatal("was opened")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %v", err)
			}
			t.Log(err)
		})
	}
}
