package apply

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// BenchmarkSwitch measures a switch of a hold, from the command to the keeper's
// word that it is done.
func BenchmarkSwitch(b *testing.B) {
	needRoot(b)
	ownHolds(b)
	l, err := Launch([]string{"/proc/self/exe", "_server", b.TempDir()}, LaunchOptions{})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = l.Wait() }()
	b.Cleanup(func() { _ = unix.Kill(l.Pid, unix.SIGKILL) })
	h, err := StartHold(within(b), "bench", Waiting{Pid: l.Pid, Release: l.Release}, testPolicy())
	if err != nil {
		b.Fatal(err)
	}
	if err := h.Guard(false); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		do := h.Deny
		if len(took)%2 == 1 {
			do = h.Allow
		}
		begun := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	report(b, took, "")
}

// BenchmarkInject measures an injection as a whole, with its checks, the start of
// the injector and the passes after it that find nothing more to do; and how long
// each process was stopped.
func BenchmarkInject(b *testing.B) {
	f := narrowFilter(b)
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("processes=%d", n), func(b *testing.B) {
			dir, pids := group(b)
			var stops []time.Duration
			for b.Loop() {
				b.StopTimer()
				sleepers(b, dir, pids, n)
				b.StartTimer()
				r, err := Inject(context.Background(), pids, f)
				if err != nil || r.Processes != n {
					b.Fatalf("%d processes: %v", r.Processes, err)
				}
				b.StopTimer()
				stops = append(stops, r.Stops...)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "us/process")
			report(b, stops, "stop-")
		})
	}
}

// report gives the median and the 99th hundredth of times, in microseconds.
func report(b *testing.B, times []time.Duration, what string) {
	slices.Sort(times)
	for name, i := range map[string]int{"median": len(times) / 2, "p99": len(times) * 99 / 100} {
		b.ReportMetric(float64(times[i].Nanoseconds())/1e3, "us-"+what+name)
	}
}

// sleepers has n processes in a cgroup that sleep, and no others.
func sleepers(b *testing.B, dir string, pids func() ([]int, error), n int) {
	b.Helper()
	eventually(b, "those before to end", func() bool { return len(killAll(pids)) == 0 })
	// The shell becomes the last of them.
	run(b, dir, "sh", "-c", fmt.Sprintf("for i in $(seq 2 %d); do sleep 1000 & done; exec sleep 1000", n))
	eventually(b, "so many processes", func() bool {
		list, _ := pids()
		return len(list) == n && !slices.ContainsFunc(list, func(pid int) bool {
			i, err := proc.Read(pid)
			return err != nil || i.Comm != "sleep"
		})
	})
}
