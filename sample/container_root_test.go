package sample

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLife(t *testing.T) {
	for _, cgroup := range cgroups(t) {
		t.Run(strings.ReplaceAll(cgroup[1:], "/", "-"), func(t *testing.T) { life(t, cgroup) })
	}
}

// life is that of a container, from its start in a cgroup to its clean stop.
func life(t *testing.T, cgroup string) {
	c, log := begin(t, Options{Cgroup: cgroup, Pace: quick})
	if got := members(t, cgroup); len(got) != 1 || got[0] != c.Pid {
		t.Fatalf("in the cgroup before the release: %v, want %d alone", got, c.Pid)
	}
	if !strings.Contains(argv(c.Pid), InitWord) || status(c.Pid, "NSpid") == "" {
		t.Fatalf("process %d is %q, want the init", c.Pid, argv(c.Pid))
	}
	if _, err := c.Request("/"); !errors.Is(err, ErrNotServing) {
		t.Fatalf("request before the release: %v, want %v", err, ErrNotServing)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); err == nil {
		t.Fatal("it could be released twice")
	}
	if err := c.Ready(soon(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all workers", func() bool { return logHas(c, "serving on") })
	if !strings.Contains(argv(c.Pid), "_demo-serve") {
		t.Fatalf("process %d is %q, want the server", c.Pid, argv(c.Pid))
	}
	processes := members(t, cgroup)
	if len(processes) != 3 {
		t.Fatalf("processes %v, want a master and two workers", processes)
	}
	for _, pid := range processes {
		if uid, caps := status(pid, "Uid"), status(pid, "CapEff"); strings.HasPrefix(uid, "0") || strings.Trim(caps, "0") != "" {
			t.Errorf("process %d has user %s and capabilities %s, want none", pid, uid, caps)
		}
	}
	load(t, c, 20)
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	if text, err := c.Request("/status"); err != nil || !strings.Contains(text, "generation 2\n") {
		t.Fatalf("after a reload: %q, %v, want generation 2", text, err)
	}
	load(t, c, 20)
	if err := c.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	if got := c.ExitStatus(); got != "exit status 0" {
		t.Errorf("ended with %s, want exit status 0", got)
	}
	for _, pid := range processes {
		eventually(t, "the end of all processes", func() bool { return gone(pid) })
	}
	if _, err := c.Request("/"); err == nil {
		t.Error("a stopped container answers")
	}
	wantLog(t, log, "[1/7] config", "[5/7] socket: listening on "+c.Addr, "[7/7] workers", "serving on", "stopped")
}

// load sends requests, all of which must be answered.
func load(t *testing.T, c *Container, n uint64) {
	t.Helper()
	l := c.Load(100)
	defer l.Stop()
	eventually(t, "answers to the load", func() bool {
		ok, failed, last := l.Stats()
		if failed > 0 {
			t.Fatalf("%d requests failed: %v", failed, last)
		}
		return ok >= n
	})
}

func wantLog(t *testing.T, path string, want ...string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(string(text), w) {
			t.Errorf("its log lacks %q:\n%s", w, text)
		}
	}
}

func TestAnswers(t *testing.T) {
	c, _ := serving(t, Options{Pace: quick})
	tests := []struct{ path, want, failed string }{
		{"/", "<h1>", ""},
		{"/about.txt", "seven stages", ""},
		{"/cached/0", "page 0 of generation 1", ""},
		{"/cached/63", "page 63 of generation 1", ""},
		{"/cached/64", "", "404"},
		{"/cached/99999999999999999999", "", "404"},
		{"/nothing", "", "404"},
		{"/../etc/demo.conf", "", "400"},
	}
	for _, tt := range tests {
		text, err := c.Request(tt.path)
		switch {
		case tt.failed == "" && (err != nil || !strings.Contains(text, tt.want)):
			t.Errorf("%s: %q, %v, want %q", tt.path, text, err, tt.want)
		case tt.failed != "" && (err == nil || !strings.Contains(err.Error(), tt.failed)):
			t.Errorf("%s: %v, want %s", tt.path, err, tt.failed)
		}
	}
}

func TestBootTakesItsTime(t *testing.T) {
	begun := time.Now()
	serving(t, Options{})
	if took := time.Since(begun); took < 2*time.Second || took > 10*time.Second {
		t.Errorf("the boot took %v, want two to four seconds", took)
	}
}

func TestHostNetwork(t *testing.T) {
	c, _ := serving(t, Options{HostNet: true, Pace: quick})
	load(t, c, 5)
	d, _ := serving(t, Options{HostNet: true, Pace: quick})
	if c.Addr == d.Addr {
		t.Errorf("two containers serve on %s", c.Addr)
	}
	load(t, d, 5)
}

func TestWorkerIsReplaced(t *testing.T) {
	c, _ := serving(t, Options{Pace: quick})
	before := children(c.Pid)
	if len(before) != 2 {
		t.Fatalf("workers %v, want two", before)
	}
	if err := unix.Kill(before[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new worker", func() bool {
		now := children(c.Pid)
		return len(now) == 2 && now[0] != before[0] && now[1] != before[0]
	})
	load(t, c, 10)
}

func TestStop(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name   string
		act    func(*Container) error
		ctx    context.Context
		status string
	}{
		{"waiting", func(*Container) error { return nil }, nil, "exit status 0"},
		{"booting", func(c *Container) error {
			err := c.Release()
			eventually(t, "the first stage", func() bool { return logHas(c, "[1/7]") })
			return err
		}, nil, "exit status 0"},
		{"refusing", func(c *Container) error { // stopped: it cannot hear a SIGTERM
			return errors.Join(c.Release(), c.Ready(soon(t)), c.cmd.Process.Signal(unix.SIGSTOP))
		}, cancelled, "signal: killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := begin(t, Options{})
			if err := tt.act(c); err != nil {
				t.Fatal(err)
			}
			workers := children(c.Pid)
			if tt.ctx == nil {
				tt.ctx = soon(t)
			}
			if err := c.Stop(tt.ctx); err != nil {
				t.Fatal(err)
			}
			if c.Alive() || c.ExitStatus() != tt.status {
				t.Errorf("alive %v, ended with %q, want %q", c.Alive(), c.ExitStatus(), tt.status)
			}
			for _, pid := range workers {
				eventually(t, "the workers' end", func() bool { return gone(pid) })
			}
			if err := c.Release(); err == nil {
				t.Error("a stopped container could be released")
			}
		})
	}
}

func TestKilled(t *testing.T) {
	c, _ := serving(t, Options{Pace: quick})
	workers := children(c.Pid)
	if err := unix.Kill(c.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end to be known", func() bool { return !c.Alive() })
	for _, pid := range workers {
		eventually(t, "the workers' end", func() bool { return gone(pid) })
	}
	if err := c.Ready(soon(t)); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("waiting for a killed container: %v", err)
	}
}

func TestNoSuchCgroup(t *testing.T) {
	needRoot(t)
	before := children(os.Getpid())
	_, err := Start(Options{Cgroup: "/sys/fs/cgroup/speaker-sample-none"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want %v", err, os.ErrNotExist)
	}
	if after := children(os.Getpid()); len(after) != len(before) {
		t.Errorf("processes left behind: %v", after)
	}
}

func TestNoMountsLeft(t *testing.T) {
	needRoot(t)
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := serving(t, Options{Pace: quick})
	if _, err := os.Stat("/proc/" + itoa(c.Pid) + "/root/etc/demo.conf"); err != nil {
		t.Errorf("look into its root: %v", err)
	}
	if _, err := os.Stat("/proc/" + itoa(c.Pid) + "/root/root"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the host's files are in its root: %v", err)
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(after)) {
		if strings.Contains(line, " demo ") && !strings.Contains(string(before), line) {
			t.Errorf("a mount on the host: %s", line)
		}
	}
}

// logHas tells whether the container's log, a file, holds a text.
func logHas(c *Container, text string) bool {
	data, _ := os.ReadFile(c.cmd.Stdout.(*os.File).Name())
	return strings.Contains(string(data), text)
}
