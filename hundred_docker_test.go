package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"speaker/trace"
	"speaker/trace/target"
	"speaker/tui/bench"
)

// On a host with a hundred containers, the list of targets comes within a
// second, and of the one that is watched nothing but its own is seen.
func TestHundredContainers(t *testing.T) {
	names := hundred(t)
	d, err := target.NewDocker("")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := bench.New(bench.Options{SessionDir: t.TempDir()})
	for who, list := range map[string]func() []string{
		"Docker's list": func() (got []string) {
			targets, err := d.List(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range targets {
				got = append(got, c.Name)
			}
			return got
		},
		"the workbench's list": func() (got []string) {
			items, problems := b.Targets(soon(t))
			for _, i := range items {
				got = append(got, i.Name)
			}
			if len(problems) > 0 {
				t.Log(problems)
			}
			return got
		},
	} {
		var took []time.Duration
		for range 5 {
			begun := time.Now()
			got := list()
			took = append(took, time.Since(begun))
			for _, name := range names {
				if !slices.Contains(got, name) {
					t.Errorf("%s is not in %s", name, who)
				}
			}
		}
		slices.Sort(took)
		t.Logf("%s: %v", who, took)
		if took[2] > time.Second {
			t.Errorf("%s took %v", who, took)
		}
	}
	watchOne(t, inspect(t, names[50]))
}

// watchOne wants two calls, twenty times a second, of one process.
func watchOne(t *testing.T, c target.Target) {
	t.Helper()
	tr, err := trace.Open(trace.Config{CgroupPath: c.CgroupPath})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	counts := map[uint32]uint64{}
	eventually(t, "ten rounds of its calls", func() (bool, string) {
		s, err := tr.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Rows {
			counts[r.Nr] += r.Count
		}
		return counts[getppid] >= 10, fmt.Sprint(counts)
	})
	if a, b := counts[getppid], counts[timedwait]; len(counts) != 2 || max(a, b) > min(a, b)+1 || a > 100 {
		t.Errorf("calls %v of a program that makes two kinds, in turn", counts)
	}
	if pids := tr.Pids(); len(pids) != 1 || pids[0] != c.Pid {
		t.Errorf("its processes are %v, want %d", pids, c.Pid)
	}
	for _, s := range tr.Samples(nil) {
		if int(s.Pid) != c.Pid {
			t.Errorf("sample of another process: %+v", s)
		}
	}
	if events := tr.Events(nil); len(events) != 0 {
		t.Errorf("events %+v of a program that does nothing", events)
	}
}

// The numbers of what testdata/light.c calls.
const (
	getppid   = 110
	timedwait = 128
)

// BenchmarkHundred measures what watching one of a hundred containers costs
// another: its getppid with nobody watching, with an empty program on the same
// tracepoint, which every tracer costs at the least, and with a tracer of ours on
// the one, in turns. And the memory that the tracer takes, the kernel's tables
// and this process' own.
//
//	go test -run '^$' -bench Hundred -benchtime 1x .
func BenchmarkHundred(b *testing.B) {
	names := hundred(b)
	c, err := target.Find(target.Hosts{}).Resolve(b.Context(), "docker:"+names[50])
	if err != nil {
		b.Fatal(err)
	}
	_ = exec.Command("docker", "rm", "-f", "sc-hundred-loop").Run() // of a run that was killed
	docker(b, "create", "--name", "sc-hundred-loop", "--network", "none", hundredImage(), "/loop", "1", "100000", "5")
	b.Cleanup(func() { docker(b, "rm", "-f", "sc-hundred-loop") })
	looks := []func() (end func() error, err error){
		func() (func() error, error) { return func() error { return nil }, nil },
		emptyProgram,
		func() (func() error, error) { return watching(c.CgroupPath) },
	}
	ns := make([][]float64, len(looks))
	var locked, resident int
	for range b.N {
		for range 9 {
			for i, look := range looks {
				before, rss := lockedMemory(b), residentMemory(b)
				end, err := look()
				if err != nil {
					b.Fatal(err)
				}
				if i == 2 {
					locked, resident = lockedMemory(b)-before, max(resident, residentMemory(b)-rss)
				}
				v, err := strconv.ParseFloat(docker(b, "start", "-a", "sc-hundred-loop"), 64)
				if err := errors.Join(err, end()); err != nil {
					b.Fatal(err)
				}
				ns[i] = append(ns[i], v)
			}
		}
	}
	for i := range ns {
		slices.Sort(ns[i])
	}
	off, empty, on := ns[0][len(ns[0])/2], ns[1][len(ns[1])/2], ns[2][len(ns[2])/2]
	b.ReportMetric(off, "ns-unwatched")
	b.ReportMetric(empty/off, "x-empty/unwatched")
	b.ReportMetric(on/off, "x-watched/unwatched")
	b.ReportMetric(on/empty, "x-watched/empty")
	b.ReportMetric(float64(locked)/1e6, "MB-tables")
	b.ReportMetric(float64(resident)/1e6, "MB-process")
	b.ReportMetric(0, "ns/op")
}

func watching(cgroup string) (func() error, error) {
	tr, err := trace.Open(trace.Config{CgroupPath: cgroup})
	if err != nil {
		return nil, err
	}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for every := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-every.C:
				tr.Pids()
				tr.Events(nil)
				tr.Snapshot()
				tr.Samples(nil)
			case <-quit:
				every.Stop()
				return
			}
		}
	})
	return func() error { close(quit); wg.Wait(); return tr.Close() }, nil
}

// emptyProgram attaches a program that does nothing.
func emptyProgram() (func() error, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "sys_enter",
		License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		return nil, err
	}
	l, err := link.AttachTracing(link.TracingOptions{Program: p})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return func() error { return errors.Join(l.Close(), p.Close()) }, nil
}

// lockedMemory is what the kernel holds for this process' maps and programs.
func lockedMemory(b *testing.B) (sum int) {
	b.Helper()
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range files {
		text, _ := os.ReadFile(f) // that of the listing itself is gone
		in := bufio.NewScanner(bytes.NewReader(text))
		for in.Scan() {
			var n int
			if _, err := fmt.Sscanf(in.Text(), "memlock: %d", &n); err == nil {
				sum += n
			}
		}
	}
	return sum
}

func residentMemory(b *testing.B) int {
	b.Helper()
	var size, resident int
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		b.Fatal(err)
	}
	return resident * os.Getpagesize()
}

func hundredImage() string { return fmt.Sprintf("speaker-test/hundred:%d", os.Getpid()) }

// hundred runs a hundred containers until the test ends, each a program of a few
// KB that makes two calls every 50 ms, and returns their names. Their image has
// the program loop, too.
func hundred(t testing.TB) (names []string) {
	t.Helper()
	needRoot(t)
	for _, need := range [][]string{{"docker", "version"}, {"cc", "--version"}} {
		if err := exec.Command(need[0], need[1:]...).Run(); err != nil {
			t.Skipf("needs %s: %v", need[0], err)
		}
	}
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	bare := []string{"-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-no-pie", "-fcf-protection=none"}
	for program, flags := range map[string][]string{"light": bare, "loop": nil} {
		args := append([]string{"-O2", "-static", "-D_GNU_SOURCE", "-o", filepath.Join(dir, program),
			filepath.Join("trace", "testdata", program+".c")}, flags...)
		if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
			t.Fatalf("compile %s: %v\n%s", program, err, out)
		}
	}
	tar := filepath.Join(t.TempDir(), "root.tar")
	if out, err := exec.Command("tar", "-C", dir, "-cf", tar, "light", "loop").CombinedOutput(); err != nil {
		t.Fatalf("tar: %s", out)
	}
	docker(t, "import", tar, hundredImage())
	for i := range 100 {
		names = append(names, fmt.Sprint("sc-hundred-", i))
	}
	remove := func() error {
		out, err := exec.Command("docker", append([]string{"rm", "-f"}, names...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	_ = remove() // of a test that was killed
	t.Cleanup(func() {
		if err := errors.Join(remove(), exec.Command("docker", "rmi", "-f", hundredImage()).Run()); err != nil {
			t.Error(err)
		}
	})
	begun := time.Now()
	todo := make(chan string)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for name := range todo {
				out, err := exec.Command("docker", "run", "-d", "--network", "none", "--name", name, hundredImage(), "/light").CombinedOutput()
				if err != nil {
					t.Errorf("run %s: %v: %s", name, err, strings.TrimSpace(string(out)))
				}
			}
		})
	}
	for _, name := range names {
		todo <- name
	}
	close(todo)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Logf("started a hundred containers in %v", time.Since(begun))
	return names
}
