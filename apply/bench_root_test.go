package apply

import (
	"context"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkHold measures a switch, from the command to the keeper's word that it is
// done, and, in ns, a call that the keeper answers, by the mode it is in.
func BenchmarkHold(b *testing.B) {
	needRoot(b)
	ownHolds(b)
	dir := b.TempDir()
	l, err := Launch([]string{"/proc/self/exe", "_server", dir}, LaunchOptions{})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = l.Wait() }()
	b.Cleanup(func() { _ = unix.Kill(l.Pid, unix.SIGKILL) })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	h, err := StartHold(ctx, "bench", Waiting{Pid: l.Pid, Release: l.Release}, testPolicy())
	if err != nil {
		b.Fatal(err)
	}
	if err := h.Guard(false); err != nil {
		b.Fatal(err)
	}
	b.Run("switch", func(b *testing.B) {
		for b.Loop() {
			if err := h.Deny(); err != nil {
				b.Fatal(err)
			}
			if err := h.Allow(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, enter := range map[string]func() error{"allowed": h.Allow, "denied": h.Deny} {
		b.Run(name, func(b *testing.B) {
			if err := enter(); err != nil {
				b.Fatal(err)
			}
			sum, n := 0.0, 0
			for b.Loop() {
				ns, err := strconv.Atoi(ask(b, dir, "time"))
				if err != nil {
					b.Fatal(err)
				}
				sum, n = sum+float64(ns), n+1
			}
			b.ReportMetric(sum/float64(n), "ns/call")
		})
	}
}
