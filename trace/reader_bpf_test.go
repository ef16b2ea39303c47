package trace

import (
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What watching costs the watcher: the CPU time of this process while it takes
// over what a tracer has, ten times a second as a recorder does, and ticks. The
// target makes half a million calls a second, or none; the table of argument
// values has few rows, or is full, as a target can make it. Two per cent of a
// core are wanted at most.
//
//	go test -run '^$' -bench Reader -benchtime 10s ./trace
func BenchmarkReader(b *testing.B) {
	needRoot(b)
	for _, c := range []struct {
		name         string
		rate, values int
	}{
		{"an idle target", 0, 1},
		{"500,000 calls a second", 500_000, 4},
		{"500,000 calls a second, many argument values", 500_000, 8192},
	} {
		b.Run(c.name, func(b *testing.B) {
			cg := anyCgroup(b)
			tr := open(b, Config{CgroupPath: cg, SameMountNS: true})
			cmd := enter(b, cg, program(b, "pace"), strconv.Itoa(c.rate), strconv.Itoa(c.values))
			start(b, cmd)
			until(b, "the target runs", func() bool { return len(tr.Pids()) == 1 })
			time.Sleep(time.Second) // until the tables have what they will have
			first, err := tr.Snapshot()
			if err != nil {
				b.Fatal(err)
			}
			before, begun := cpuTime(b), time.Now()
			r := record(tr)
			// A b.N of tenths of a second: what a recorder does once each.
			for b.Loop() {
				time.Sleep(100 * time.Millisecond)
			}
			used, took := cpuTime(b)-before, time.Since(begun)
			r.stop()
			if r.err != nil {
				b.Fatal(r.err)
			}
			b.ReportMetric(100*used.Seconds()/took.Seconds(), "%core")
			b.ReportMetric(float64(r.calls)/took.Seconds(), "calls/s")
			b.ReportMetric(float64(r.samples)/took.Seconds(), "samples/s")
			b.ReportMetric(float64(r.lost.SamplesDropped-first.Lost.SamplesDropped)/took.Seconds(), "dropped/s")
			b.ReportMetric(float64(r.lost.Table-first.Lost.Table), "lost")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpuTime is what this process has used of the CPUs, in the kernel too.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
