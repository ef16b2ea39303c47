package main

import (
	"bufio"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"speaker/apply"
	"speaker/session"
	"speaker/trace/proc"
)

// victim is a speaker, or a play, that will be killed.
type victim struct {
	cmd   *exec.Cmd
	lines chan string // of its standard output; closed at its end
}

func begin(t *testing.T, cmd *exec.Cmd) *victim {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{cmd, make(chan string, 1000)}
	go func(r io.Reader) {
		defer close(v.lines)
		for sc := bufio.NewScanner(r); sc.Scan(); {
			v.lines <- sc.Text()
		}
	}(out)
	t.Cleanup(v.kill)
	return v
}

// says waits for a line that begins with a word, and returns the rest of it.
func (v *victim) says(t *testing.T, word string) string {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, open := <-v.lines:
			if rest, ok := strings.CutPrefix(line, word); ok {
				return strings.TrimSpace(rest)
			}
			if !open {
				t.Fatalf("it ended before it said %q", word)
			}
		case <-late:
			t.Fatalf("it did not say %q", word)
		}
	}
}

// kill is kill -9 of the one process, as a user or the kernel's memory killer
// would. It may be done twice.
func (v *victim) kill() {
	if v.cmd.ProcessState == nil {
		_ = v.cmd.Process.Kill()
		_ = v.cmd.Wait()
	}
}

// A recording that is killed is nothing to the container, and the file opens.
func TestKillRecording(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-kill-record"
	startContainer(t, name, nginx)
	l := startLoad(t, nginx, address(t, name, nginx))
	before := inspect(t, name)
	pids := tree(t, before.Pid)
	had := filters(t, pids)
	file := filepath.Join(t.TempDir(), "s.speaker")
	v := begin(t, speaker(t, "record", name, "-o", file))
	v.says(t, "recording")
	eventually(t, "the first epochs on disk", func() (bool, string) {
		s, _, err := session.Open(file)
		return err == nil && s.Length() > time.Second, errText(err)
	})
	v.kill()
	l.more(t, 50)
	l.check(t, "around the kill")
	if now := inspect(t, name); now.Pid != before.Pid {
		t.Errorf("process %d before, %d after", before.Pid, now.Pid)
	}
	if has := filters(t, pids); !maps.Equal(had, has) {
		t.Errorf("filters by process: %v before, %v after", had, has)
	}
	if shown := output(t, speaker(t, "show", file)); !strings.Contains(shown, name) || !strings.Contains(shown, "accept4") {
		t.Errorf("show: %s", shown)
	}
}

// Killed while it boots a container again, at the worst moments, speaker still
// leaves it running with the filters that it had.
func TestKillBooting(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-kill-boot"
	startContainer(t, name, redis)
	address(t, name, redis)
	for _, x := range []struct {
		moment string
		is     func(before int) bool // before: the container's process until now
	}{
		{"down", func(before int) bool { return syscall.Kill(before, 0) != nil }},
		{"up again", func(before int) bool {
			now := docker(t, "inspect", "-f", "{{.State.Pid}}", name)
			return now != "0" && now != strconv.Itoa(before)
		}},
	} {
		t.Run(x.moment, func(t *testing.T) {
			before := inspect(t, name).Pid
			had := filters(t, []int{before})[before]
			v := begin(t, speaker(t, "record", "--boot", name, "-o", filepath.Join(t.TempDir(), "s.speaker")))
			for end := time.Now().Add(patience); !x.is(before); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("process %d was never %s", before, x.moment)
				}
			}
			v.kill()
			address(t, name, redis)
			now := inspect(t, name).Pid
			if has := filters(t, []int{now})[now]; now == before || has != had {
				t.Errorf("process %d with %d filters before, %d with %d after", before, had, now, has)
			}
		})
	}
}

// Killed before, in the middle of or after an injection, speaker leaves every
// process running, none wider than before, and no request lost. What it had
// finished stays.
func TestKillInjecting(t *testing.T) {
	needServers(t)
	for _, x := range []struct {
		name string
		word string
		more int // processes that have a filter more
	}{
		{"at-once", "injecting", 0},
		{"in-the-middle", "injecting", 1},
		{"done", "injected", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			name := "speaker-e2e-kill-inject-" + x.name
			startContainer(t, name, nginx)
			l := startLoad(t, nginx, address(t, name, nginx))
			c := inspect(t, name)
			pids := tree(t, c.Pid)
			had := filters(t, pids)
			file := filepath.Join(t.TempDir(), "s.speaker")
			v := begin(t, exec.Command("/proc/self/exe", "_test-inject", "docker:"+name, file))
			v.says(t, x.word)
			awaitFilters(t, had, x.more)
			v.kill()
			l.more(t, 100)
			l.check(t, "around the kill")
			if now, err := c.Pids(); err != nil || !slices.Equal(now, pids) {
				t.Errorf("processes %v before, %v after (%v)", pids, now, err)
			}
			has := filters(t, pids)
			t.Logf("filters by process: %v before, %v after", had, has)
			for _, pid := range pids {
				if has[pid] < had[pid] || x.word == "injected" && has[pid] != had[pid]+1 {
					t.Errorf("process %d had %d filters, and has %d", pid, had[pid], has[pid])
				}
			}
			if x.word == "injected" {
				proveFrom(t, file, c.Pids)
			}
		})
	}
}

// awaitFilters waits until n of the processes have more filters than they had.
func awaitFilters(t *testing.T, had map[int]int, n int) {
	t.Helper()
	for end := time.Now().Add(patience); n > 0; {
		more := 0
		for pid := range had {
			if i, err := proc.Read(pid); err == nil && i.Filters > had[pid] {
				more++
			}
		}
		if more >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d processes have a filter more, want %d", more, n)
		}
	}
}

// proveFrom proves that what runs has the run filter of a session's file, whose
// writer was killed.
func proveFrom(t *testing.T, file string, pids func() ([]int, error)) {
	t.Helper()
	s, damage, err := session.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	sp, ok := s.Split()
	if !ok {
		t.Fatalf("no split in the file (%s)", damage)
	}
	proof, err := apply.Prove(soon(t), pids, s.Policy(sp).NarrowSpec())
	if err != nil || !proof.OK {
		t.Errorf("%v, %v", proof.Text, err)
	}
}
