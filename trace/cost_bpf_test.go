package trace

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// What watching costs: nanoseconds added to a getppid, side by side with an
// empty program on the same tracepoint and with the tools that people use now.
// Every round measures all of them one after the other, so that a machine whose
// speed drifts does not favour one; a row is the median of the rounds.
//
//	go test -run '^$' -bench Cost -benchtime 1x ./trace
func BenchmarkCost(b *testing.B) {
	needRoot(b)
	const rounds = 9
	var rows []costRow
	for _, c := range costs() {
		rows = append(rows, costRow{cost: c})
	}
	for range b.N {
		for range rounds {
			for i := range rows {
				if i > 5 && os.Getenv("QUICK") != "" {
					continue
				}
				rows[i].measure(b)
			}
		}
	}
	base, empty := rows[0].median(), rows[1].median()-rows[0].median()
	for _, r := range rows {
		if len(r.ns) == 0 {
			b.Logf("%-44s %s", r.name, r.missing)
			continue
		}
		added := r.median() - base
		b.Logf("%-44s %9.1f ns  added %9.1f  x%.2f of the empty program's", r.name, r.median(), added, added/empty)
		b.ReportMetric(added/empty, "x-"+strings.ReplaceAll(r.name, " ", "-"))
	}
}

// A cost is one way to look at the program loop while it runs.
type cost struct {
	name string
	// begin starts the looking; the program then enters the cgroup that begin
	// returns ("": none) and is started by the words of wrap.
	begin func(b *testing.B) (cgroup string, end func())
	wrap  []string
	calls int // 0: the usual number; dear tools get fewer
}

type costRow struct {
	cost
	ns      []float64
	missing string
}

func (r *costRow) median() float64 {
	s := slices.Sorted(slices.Values(r.ns))
	return s[len(s)/2]
}

func (r *costRow) measure(b *testing.B) {
	b.Helper()
	if len(r.wrap) > 0 {
		if _, err := exec.LookPath(r.wrap[0]); err != nil {
			r.missing = "no " + r.wrap[0]
			return
		}
	}
	cg, end := "", func() {}
	if r.begin != nil {
		if cg, end = r.begin(b); cg == "-" {
			r.missing = "not to be had here"
			return
		}
	}
	defer end()
	calls, self := r.calls, ""
	if calls == 0 {
		calls = 100_000
	}
	argv := append(slices.Clone(r.wrap), program(b, "loop"), "1", strconv.Itoa(calls), "5")
	if cg != "" {
		self, _ = os.Executable()
		argv = append([]string{self, "_enter", cg}, argv...)
	}
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		b.Fatalf("%v: %v", argv, err)
	}
	f := strings.Fields(string(out))
	ns, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		b.Fatalf("%v printed %q", argv, out)
	}
	r.ns = append(r.ns, ns)
}

func costs() []cost {
	counting := func(extra func(*testing.B, *Tracer)) func(*testing.B) (string, func()) {
		return func(b *testing.B) (string, func()) {
			cg := anyCgroup(b)
			tr := open(b, Config{CgroupPath: cg, SameMountNS: true})
			if extra != nil {
				extra(b, tr)
			}
			quit := make(chan struct{})
			done := make(chan struct{})
			go func() { // what a recorder does
				defer close(done)
				t := time.NewTicker(100 * time.Millisecond)
				defer t.Stop()
				for {
					select {
					case <-t.C:
						tr.Snapshot()
						tr.Samples(nil)
						tr.Events(nil)
					case <-quit:
						return
					}
				}
			}()
			return cg, func() { close(quit); <-done; tr.Close(); os.Remove(cg) }
		}
	}
	others := func(extra func(*testing.B, *Tracer)) func(*testing.B) (string, func()) {
		watch := counting(extra)
		return func(b *testing.B) (string, func()) {
			_, end := watch(b)
			return "", end
		}
	}
	judge := func(b *testing.B, tr *Tracer) {
		if err := tr.Judge(func(ABI, uint32) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
	denials := func(b *testing.B, tr *Tracer) {
		if err := tr.WatchDenials(true); err != nil {
			b.Fatal(err)
		}
	}
	return []cost{
		{name: "no tracing"},
		{name: "an empty program", begin: emptyProgram},
		{name: "speaker, counting", begin: counting(nil)},
		{name: "speaker, dry run", begin: counting(judge)},
		{name: "speaker, denials", begin: counting(denials)},
		{name: "speaker, another target", begin: others(nil)},
		{name: "speaker, another target and denials", begin: others(denials)},
		{name: "bpftrace, count", begin: bpftrace(`tracepoint:raw_syscalls:sys_enter /comm == "loop"/ { @[args->id] = count(); }`), calls: 50_000},
		{name: "bpftrace, count, another process", begin: bpftrace(`tracepoint:raw_syscalls:sys_enter /comm == "none"/ { @[args->id] = count(); }`), calls: 50_000},
		{name: "perf trace -s", wrap: []string{"perf", "trace", "-s", "-o", "/dev/null"}, calls: 5_000},
		{name: "strace -c", wrap: []string{"strace", "-c", "-o", "/dev/null"}, calls: 2_000},
	}
}

// emptyProgram attaches a program that does nothing.
func emptyProgram(b *testing.B) (string, func()) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "sys_enter",
		License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		b.Fatal(err)
	}
	l, err := link.AttachTracing(link.TracingOptions{Program: p})
	if err != nil {
		b.Fatal(err)
	}
	return "", func() { l.Close(); p.Close() }
}

// bpftrace runs a script until it is ended.
func bpftrace(script string) func(*testing.B) (string, func()) {
	return func(b *testing.B) (string, func()) {
		if _, err := exec.LookPath("bpftrace"); err != nil {
			return "-", func() {}
		}
		ready := filepath.Join(b.TempDir(), "out")
		f, err := os.Create(ready)
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command("bpftrace", "-e", `BEGIN { printf("ready\n"); } `+script)
		cmd.Stdout, cmd.Stderr = f, f
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		until(b, "bpftrace is ready", func() bool {
			out, _ := os.ReadFile(ready)
			return strings.Contains(string(out), "ready")
		})
		return "", func() {
			cmd.Process.Signal(os.Interrupt)
			cmd.Wait()
			f.Close()
			fmt.Fprint(os.Stdout, "")
		}
	}
}
