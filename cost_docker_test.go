package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"speaker/apply"
	"speaker/policy"
)

// BenchmarkFilter measures what a call costs by what confines its container: one
// that is allowed, one that the run filter denies, and one that a hold's keeper is
// asked about. Every round measures all of them, one after the other, on the same
// processor. A row is the median of its rounds, and its ratios are medians of the
// ratios within a round: to the same call where no filter is, and under Docker's
// default profile.
//
//	go test -run '^$' -bench Filter -benchtime 1x .
func BenchmarkFilter(b *testing.B) {
	needServers(b)
	const rounds = 41 // short ones, for a machine whose speed changes
	unconfined := []string{"--security-opt", "seccomp=unconfined"}
	none := runLooper(b, "none", runLoop, unconfined...)
	standard := runLooper(b, "docker", runLoop)
	alone := runLooper(b, "run", runLoop, unconfined...)
	alone.narrow(b)
	both := runLooper(b, "both", runLoop)
	both.narrow(b)
	held := runLooper(b, "held", toldToGo(runLoop))
	h := holdContainer(b, held.name)
	if err := h.Guard(false); err != nil { // it would undo what denies so often
		b.Fatal(err)
	}

	var rows []*filterCost
	row := func(call, under string, c *looper, calls int, before func() error) *filterCost {
		r := &filterCost{call: call, under: under, loop: c, calls: calls, before: before}
		rows = append(rows, r)
		return r
	}
	for _, call := range []string{"getppid", "personality"} {
		row(call, noFilter, none, 4_000, nil)
		row(call, dockersFilter, standard, 4_000, nil)
		row(call, "the run filter", alone, 4_000, nil)
		row(call, "the run filter on Docker's", both, 4_000, nil)
		row(call, "a hold on Docker's", held, 4_000, nil)
	}
	allowed := rows[2]
	row("bind", noFilter, none, 4_000, nil)
	row("bind", dockersFilter, standard, 4_000, nil)
	denied := row("bind", "the run filter: denied", alone, 4_000, nil)
	row("bind", "the run filter on Docker's: denied", both, 4_000, nil)
	notified := row("bind", "a hold: asked, let through", held, 100, h.Allow)
	row("bind", "a hold: asked, denied", held, 100, h.Deny)
	for range b.N {
		for range rounds {
			for _, r := range rows {
				r.measure(b)
			}
		}
	}
	fmt.Print("\n", filterTable(rows)) // of b.Log no more than ten lines are printed
	b.ReportMetric(middle(allowed.over(rows, noFilter)), "x-run/none")
	b.ReportMetric(middle(allowed.over(rows, dockersFilter)), "x-run/docker")
	b.ReportMetric(middle(denied.ns), "ns-denied")
	b.ReportMetric(middle(notified.ns), "ns-notified")
	b.ReportMetric(0, "ns/op")
}

// What others are compared with.
const (
	noFilter      = "no filter"
	dockersFilter = "Docker's default"
)

// A filterCost is a call that is made under a filter.
type filterCost struct {
	call, under string
	loop        *looper
	calls       int          // in one go
	before      func() error // sets the mode of a hold; nil: nothing to set

	ns []float64 // by round
}

func (r *filterCost) measure(b *testing.B) {
	b.Helper()
	if r.before != nil {
		if err := r.before(); err != nil {
			b.Fatal(err)
		}
	}
	fmt.Fprintln(r.loop.in, r.calls, 15, r.call)
	line, err := r.loop.out.ReadString('\n')
	ns, bad := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil || bad != nil {
		b.Fatalf("%s under %s: %q, %v", r.call, r.under, line, err)
	}
	r.ns = append(r.ns, ns)
}

// over are the ratios to the same call under another filter, by round.
func (r *filterCost) over(rows []*filterCost, under string) (x []float64) {
	base := rows[slices.IndexFunc(rows, func(o *filterCost) bool { return o.call == r.call && o.under == under })]
	for i := range r.ns {
		x = append(x, r.ns[i]/base.ns[i])
	}
	return x
}

func middle(list []float64) float64 { return slices.Sorted(slices.Values(list))[len(list)/2] }

func filterTable(rows []*filterCost) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-12s %-36s %10s %11s %17s\n", "call", "under", "ns a call", "x no filter", "x Docker's filter")
	for _, r := range rows {
		fmt.Fprintf(&out, "%-12s %-36s %10.1f %11.2f %17.2f\n", r.call, r.under, middle(r.ns),
			middle(r.over(rows, noFilter)), middle(r.over(rows, dockersFilter)))
	}
	return out.String()
}

// looper is the program loop in a container, which measures on the second
// processor what it is told to.
type looper struct {
	name string
	in   io.Writer
	out  *bufio.Reader
}

func runLooper(b *testing.B, name string, command []string, flags ...string) *looper {
	b.Helper()
	program := filepath.Join(b.TempDir(), "loop")
	if out, err := exec.Command("cc", "-O2", "-static", "-D_GNU_SOURCE", "-o", program, "trace/testdata/loop.c").CombinedOutput(); err != nil {
		b.Fatalf("compile: %v\n%s", err, out)
	}
	name = "speaker-bench-filter-" + name
	createContainer(b, name, server{command: command,
		flags: append([]string{"-i", "--network", "none", "-v", program + ":/loop:ro"}, flags...)})
	cmd := exec.Command("docker", "start", "-ai", name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	eventually(b, name+" to run", func() (bool, string) { return inspect(b, name).Pid != 0, "" })
	return &looper{name, in, bufio.NewReader(out)}
}

// runLoop is the command of a looper.
var runLoop = []string{"/loop", "1"}

// narrow puts the run filter into it.
func (l *looper) narrow(b *testing.B) {
	b.Helper()
	f, err := policy.Compile(bootOnly(b).NarrowSpec())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := apply.Inject(soon(b), inspect(b, l.name).Pids, f); err != nil {
		b.Fatal(err)
	}
}
