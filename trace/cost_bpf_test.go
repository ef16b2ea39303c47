package trace

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// What watching costs: nanoseconds added to a call, side by side with an empty
// program on the same tracepoint and with the tools that people use now. Every
// round measures all of them one after the other, so that a machine whose speed
// drifts does not favour one; a row is the median of its rounds.
//
//	go test -run '^$' -bench Cost -benchtime 1x ./trace
func BenchmarkCost(b *testing.B) {
	needRoot(b)
	const rounds = 9
	cg := anyCgroup(b)
	rows := costs(cg)
	for range b.N {
		for round := range rounds {
			for i := range rows {
				// The dear tools differ by so much that a third of the rounds tells.
				if rows[i].dear == 0 || round%3 == 0 {
					rows[i].measure(b, cg)
				}
			}
		}
	}
	// Not by b.Log, of which no more than ten lines are printed.
	fmt.Print("\n", costTable(rows))
	added := func(name string) float64 {
		return medianOf(rows, "getppid", name) - medianOf(rows, "getppid", noTracing)
	}
	b.ReportMetric(added("counting")/added(anEmptyProgram), "x-empty")
	b.ReportMetric(added("counting"), "ns-added")
}

// The rows that others are compared with.
const (
	noTracing      = "no tracing"
	anEmptyProgram = "an empty program"
)

// A cost is one way to look at the program loop while it makes a call.
type cost struct {
	call, name string
	look       func() (end func() error, err error) // nil: nobody looks
	inside     bool                                 // the program is in the cgroup
	wrap       []string                             // it is started by these words
	dear       int                                  // so dear that it gets this many calls only

	ns      []float64
	missing error
}

func costs(cg string) []cost {
	quiet := func(*Tracer) error { return nil }
	judge := func(t *Tracer) error { return t.Judge(func(ABI, uint32) bool { return true }) }
	denials := func(t *Tracer) error { return t.WatchDenials(true) }
	processes := func(t *Tracer) error { return t.WatchProcesses(true) }
	var rows []cost
	for _, call := range []string{"getppid", "personality", "socket"} {
		rows = append(rows, cost{call: call, name: noTracing}, cost{call: call, name: anEmptyProgram, look: emptyProgram},
			cost{call: call, name: "counting", look: recording(cg, quiet), inside: true})
	}
	rows[5].name, rows[8].name = "counting, argument too", "counting, arguments too"
	return append(rows,
		cost{call: "getppid", name: "counting, per process too", look: recording(cg, processes), inside: true},
		cost{call: "getppid", name: "dry run", look: recording(cg, judge), inside: true},
		cost{call: "getppid", name: "denials", look: recording(cg, denials), inside: true},
		cost{call: "getppid", name: "another target", look: recording(cg, quiet)},
		cost{call: "getppid", name: "another target's denials", look: recording(cg, denials)},
		cost{call: "getppid", name: "bpftrace, count", look: bpftrace("loop"), dear: 50_000},
		cost{call: "getppid", name: "bpftrace, count another process", look: bpftrace("none"), dear: 50_000},
		cost{call: "getppid", name: "perf trace -s", wrap: []string{"perf", "trace", "-s", "-o", "/dev/null"}, dear: 5_000},
		cost{call: "getppid", name: "strace -c", wrap: []string{"strace", "-c", "-o", "/dev/null"}, dear: 2_000},
	)
}

func (c *cost) measure(b *testing.B, cg string) {
	b.Helper()
	if len(c.wrap) > 0 {
		if _, err := exec.LookPath(c.wrap[0]); err != nil {
			c.missing = err
			return
		}
	}
	if c.look != nil {
		end, err := c.look()
		if errors.Is(err, exec.ErrNotFound) {
			c.missing = err
			return
		}
		if err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
		defer func() {
			switch err := end(); {
			case err != nil && c.dear > 0: // others' tools; it has counted until now
				b.Logf("%s: %v", c.name, err)
			case err != nil:
				b.Errorf("%s: %v", c.name, err)
			}
		}()
	}
	// Short rounds, so that many lie between what disturbs them.
	calls, again := 4_000, 125
	if c.dear > 0 {
		calls, again = c.dear/25, 125
	}
	argv := append(slices.Clone(c.wrap), program(b, "loop"), "1", strconv.Itoa(calls), strconv.Itoa(again), c.call)
	cmd := exec.Command(argv[0], argv[1:]...)
	if c.inside {
		cmd = enter(b, cg, argv...)
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(run(b, cmd)), 64)
	if err != nil {
		b.Fatalf("%s: %v", cmd, err)
	}
	c.ns = append(c.ns, ns)
}

func (c *cost) median() float64 { return median(c.ns) }

// median is 0 of nothing.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

func medianOf(rows []cost, call, name string) float64 {
	i := slices.IndexFunc(rows, func(c cost) bool { return c.call == call && c.name == name })
	return rows[i].median()
}

// costTable has a line for each row, those of the same call together.
func costTable(rows []cost) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-12s %-34s %10s %10s %9s\n", "call", "while it is looked at by", "ns a call", "ns added", "x empty")
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(x, y cost) int { return strings.Compare(x.call, y.call) })
	for _, c := range rows {
		if c.missing != nil {
			fmt.Fprintf(&out, "%-12s %-34s %v\n", c.call, c.name, c.missing)
			continue
		}
		base, empty := medianOf(rows, c.call, noTracing), medianOf(rows, c.call, anEmptyProgram)
		fmt.Fprintf(&out, "%-12s %-34s %10.1f", c.call, c.name, c.median())
		if c.name != noTracing {
			added := c.median() - base
			fmt.Fprintf(&out, " %10.1f %9.2f", added, added/(empty-base))
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

// recording watches a cgroup as a recorder does, ten epochs a second.
func recording(cg string, also func(*Tracer) error) func() (func() error, error) {
	return func() (func() error, error) {
		tr, err := Open(Config{CgroupPath: cg, SameMountNS: true})
		if err != nil {
			return nil, err
		}
		if err := also(tr); err != nil {
			return nil, errors.Join(err, tr.Close())
		}
		r := record(tr)
		return func() error {
			r.stop()
			return errors.Join(r.err, tr.Close())
		}, nil
	}
}

// recorder takes over what a tracer has ten times a second.
type recorder struct {
	calls, samples, events uint64
	lost                   Lost
	err                    error
	stop                   func()
}

func record(tr *Tracer) *recorder {
	r := &recorder{}
	quit, done := make(chan struct{}), make(chan struct{})
	r.stop = func() { close(quit); <-done }
	go func() {
		defer close(done)
		every := time.NewTicker(100 * time.Millisecond)
		defer every.Stop()
		var samples []Sample
		var events []Event
		for n := 1; ; n++ {
			select {
			case <-every.C:
			case <-quit:
				return
			}
			tr.Pids()
			events = tr.Events(events[:0])
			s, err := tr.Snapshot()
			for _, row := range s.Rows {
				r.calls += row.Count
			}
			if n%10 == 0 && err == nil {
				_, err = tr.Arguments()
			}
			samples = tr.Samples(samples[:0])
			r.samples += uint64(len(samples))
			r.events += uint64(len(events))
			r.lost, r.err = s.Lost, errors.Join(r.err, err)
		}
	}()
	return r
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

// bpftrace has bpftrace count the calls of the processes of a name.
func bpftrace(comm string) func() (func() error, error) {
	script := `BEGIN { printf("ready\n"); } tracepoint:raw_syscalls:sys_enter /comm == "` + comm + `"/ { @[args->id] = count(); }`
	return func() (func() error, error) {
		cmd := exec.Command("bpftrace", "-e", script)
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		in := bufio.NewScanner(out)
		for in.Scan() && in.Text() != "ready" {
		}
		return func() error {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				return err
			}
			late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() }) // it misses a signal now and then
			defer late.Stop()
			for in.Scan() { // its table, which it must be able to print
			}
			if err := cmd.Wait(); err != nil {
				return fmt.Errorf("%w: %s", err, said.String())
			}
			return nil
		}, nil
	}
}
