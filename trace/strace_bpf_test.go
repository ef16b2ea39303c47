package trace

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The same run is seen by strace and by the tracer: strace -f starts a process
// which enters the watched cgroup and then becomes the program. From its exec
// on, both must have counted the same calls, each as often.
func TestEqualsStrace(t *testing.T) {
	needRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		argv []string
	}{
		{"static with threads, three ABIs", []string{program(t, "count"), "4", "500"}},
		{"forks, vforks, execs", []string{program(t, "forks"), "40"}},
		{"signals, stops, restarted calls", []string{program(t, "signals")}},
		{"seccomp refuses calls", []string{program(t, "denied"), "50"}},
		{"dynamic", []string{"/bin/ls", "-lR", "/etc/security"}},
		{"a shell and pipes", []string{"/bin/sh", "-c", "for i in 1 2 3; do /bin/true; done; ls / | sort | wc -l; (sleep 0.01 &) ; wait"}},
		{"Go", []string{self, "_busy"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, want, cut := underStrace(t, c.argv...)
			sameCounts(t, fold(got), want, cut)
		})
	}
}

// A 32-bit program makes i386 calls only. strace has their numbers, but does not
// say whose numbers they are.
func TestEqualsStrace386(t *testing.T) {
	needRoot(t)
	prog := program(t, "old", append(bare, "-m32")...)
	if err := exec.Command(prog).Run(); err != nil {
		t.Skip("this kernel runs no 32-bit programs: ", err)
	}
	got, want, cut := underStrace(t, prog)
	for k := range got {
		if k.abi != I386 {
			t.Errorf("the program made a call %d of abi %d", k.nr, k.abi)
		}
	}
	sameCounts(t, fold(got), want, cut)
	if n := got[key{Main, I386, 24}]; n != 1+2*5 { // getuid: of the thread and two children
		t.Errorf("counted %d getuid, made 11", n)
	}
}

// underStrace runs a program in a watched cgroup, under strace. It returns what
// the tracer counted and what strace did, see readStrace.
func underStrace(t *testing.T, argv ...string) (got, want, cut map[key]uint64) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cg := anyCgroup(t)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
	if err := tr.WatchDenials(true); err != nil {
		t.Fatal(err)
	}
	stop := snapshots(t, tr, 100*time.Millisecond)
	file := filepath.Join(t.TempDir(), "strace")
	cmd := exec.Command("strace", append([]string{"-f", "-n", "-s", "999", "-o", file, self, "_enter", cg}, argv...)...)
	cmd.Stdin = strings.NewReader("x")
	run(t, cmd)
	until(t, "all processes are gone", func() bool { return len(tr.Pids()) == 0 })
	sum := stop()
	if sum.lost.Table != 0 {
		t.Errorf("lost %d calls", sum.lost.Table)
	}
	got = sum.group(Main)
	addDenials(t, got, tr)
	want, cut = readStrace(t, file, argv)
	return got, want, cut
}

// addDenials adds the calls that seccomp refused: strace stops a call before
// seccomp sees it, the tracer after it was let through.
func addDenials(t testing.TB, counts map[key]uint64, tr *Tracer) {
	t.Helper()
	for _, d := range denials(t, tr) {
		counts[key{Main, d.ABI, d.Nr}] += d.Count
	}
}

func denials(t testing.TB, tr *Tracer) []ProcRow {
	t.Helper()
	rows, err := tr.Denials()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// sameCounts wants got to equal want, but for calls that were cut: those may be
// in want alone.
func sameCounts(t testing.TB, got, want, cut map[key]uint64) {
	t.Helper()
	var sum, missing uint64
	for k, n := range want {
		sum += n
		missing += n - min(n, got[k])
		if got[k] > n || got[k]+cut[k] < n {
			t.Errorf("abi %d call %d: counted %d, strace %d, %d of them cut", k.abi, k.nr, got[k], n, cut[k])
		}
	}
	for k, n := range got {
		if want[k] == 0 && n > 0 {
			t.Errorf("abi %d call %d: counted %d, strace none", k.abi, k.nr, n)
		}
	}
	if sum == 0 {
		t.Error("strace saw nothing")
	}
	t.Logf("%d calls, %d different; not counted, for they were cut: %d", sum, len(want), missing)
}

var straceLine = regexp.MustCompile(`^(\d+) +(?:\[ *(-?\w+)\] )?(.*)$`)

// readStrace counts the calls of strace -f -n output after the first execve of
// argv has succeeded: until then its other threads still make calls. strace
// does not tell i386 numbers from native ones, see fold.
//
// cut are the calls in which other threads were when their process ended. strace
// prints a call when the thread stops on the way in; if an exit_group or a kill
// comes then, the kernel goes no further: no call is made, and none is counted.
func readStrace(t testing.TB, file string, argv []string) (counts, cut map[key]uint64) {
	t.Helper()
	start := fmt.Sprintf("execve(%q, [%q", argv[0], argv[0])
	if len(argv) > 1 {
		start += fmt.Sprintf(", %q", argv[1])
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counts, cut = map[key]uint64{}, map[key]uint64{}
	under := map[string]key{} // thread: the call that it has not come back from
	called, begun := false, false
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		m := straceLine.FindStringSubmatch(in.Text())
		if m == nil {
			t.Fatalf("strace line %q", in.Text())
		}
		tid, number, text := m[1], m[2], m[3]
		if !begun {
			called = called || strings.HasPrefix(text, start)
			begun = called && strings.HasSuffix(text, "= 0") && strings.Contains(text, "execve")
			continue
		}
		if strings.HasPrefix(text, "+++ ") {
			if k, ok := under[tid]; ok {
				cut[k]++
			}
			delete(under, tid)
			continue
		}
		if strings.HasPrefix(text, "<... ") && !strings.HasSuffix(text, "= ?") {
			delete(under, tid)
		}
		if number == "" || strings.HasPrefix(text, "<... ") || strings.HasPrefix(text, "--- ") {
			continue // a signal, the rest of a call
		}
		nr, err := strconv.ParseUint(number, 0, 64) // of a killed thread it may be any
		if err != nil {
			t.Fatalf("strace line %q: %v", in.Text(), err)
		}
		k := key{Main, X86_64, uint32(nr)}
		if nr>>30 == 1 {
			k = key{Main, X32, uint32(nr) &^ (1 << 30)}
		}
		counts[k]++
		if strings.HasSuffix(text, "<unfinished ...>") {
			under[tid] = k
		} else {
			delete(under, tid)
		}
	}
	return counts, cut
}

// fold adds i386 calls to the native ones of the same number, as strace has them.
func fold(counts map[key]uint64) map[key]uint64 {
	out := map[key]uint64{}
	for k, n := range counts {
		if k.abi == I386 {
			k.abi = X86_64
		}
		out[k] += n
	}
	return out
}
