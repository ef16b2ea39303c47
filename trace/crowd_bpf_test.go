package trace

import (
	"bufio"
	"io"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// crowd starts a program of many threads that wait.
func crowd(t *testing.T, threads, later int) (pid int, finish func()) {
	t.Helper()
	cmd := exec.Command(program(t, "crowd"), strconv.Itoa(threads), strconv.Itoa(later))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd.Process.Pid, func() {
		t.Helper()
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// A process that has many threads when the watch begins, or when it comes, is
// counted in each of them, and in those that begin later.
func TestThreadsThatAreThere(t *testing.T) {
	needRoot(t)
	const threads, later = 300, 20
	count := func(t *testing.T, tr *Tracer, g Group, want uint64) {
		t.Helper()
		s, err := tr.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		got := uint64(0)
		for _, r := range s.Rows {
			if r.Nr == unix.SYS_GETPPID && r.Group == g {
				got += r.Count
			}
		}
		if got != want || s.Lost.Unfollowed != 0 {
			t.Errorf("counted %d calls, %d were made; %+v", got, want, s.Lost)
		}
	}
	t.Run("tree", func(t *testing.T) {
		pid, finish := crowd(t, threads, later)
		tr := open(t, Config{Pid: pid})
		finish()
		count(t, tr, Main, 10*(threads+later+1))
	})
	for name, path := range hierarchies(t) {
		t.Run(name+" there", func(t *testing.T) {
			pid, finish := crowd(t, threads, later)
			cg := cgroup(t, path)
			move(t, cg, pid)
			tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
			finish()
			count(t, tr, Main, 10*(threads+later+1))
		})
		t.Run(name+" comes", func(t *testing.T) {
			pid, finish := crowd(t, threads, later)
			cg := cgroup(t, path)
			tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
			move(t, cg, pid)
			finish()
			count(t, tr, Init, 10*(threads+later+1)) // until an exec it is a launcher
		})
	}
}

// One that comes with more threads than are looked through is told.
func TestTooManyThreadsComing(t *testing.T) {
	needRoot(t)
	cg := anyCgroup(t)
	pid, finish := crowd(t, 600, 0)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
	move(t, cg, pid)
	finish()
	s, err := tr.Snapshot()
	if err != nil || s.Lost.Unfollowed == 0 {
		t.Errorf("lost %+v, %v", s.Lost, err)
	}
}
