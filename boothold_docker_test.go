package main

import (
	"errors"
	"os"
	"testing"

	"speaker/apply"
	"speaker/trace/proc"
	"speaker/tui/bench"
)

// Real servers are booted again under a hold, by their engine: all of boot is let
// through, no request is lost when the split is crossed, and once it is left alone the
// next restart is as it was.
func TestBootHeldRounds(t *testing.T) {
	needServers(t)
	for name, s := range map[string]server{"nginx": nginx, "redis": redis, "postgres": postgres} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("SPEAKER_TEST_LONG") == "" && name != "nginx" {
				t.Skip("long: set SPEAKER_TEST_LONG=1 (make test-all)")
			}
			container := "speaker-e2e-bootheld-" + name
			startContainer(t, container, s)
			own := filtersOf(t, container)
			b := bench.New(bench.Options{SessionDir: t.TempDir()})
			h, err := b.BootHeld(soon(t), "docker:"+container, bootOnly(t), func(_ []apply.Check, awaits bool) {
				if awaits {
					t.Error("Docker is not told to start it")
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = h.Leave() })
			if n := filtersOf(t, container); n != own+1 {
				t.Errorf("%d filters, %d are its own", n, own)
			}
			l := startLoad(t, s, address(t, container, s))
			l.more(t, 100)
			if err := h.Deny(); err != nil {
				t.Fatal(err)
			}
			l.more(t, 200)
			l.stop()
			l.check(t, "across the split")
			st, err := h.Status()
			if err != nil || st.Mode != "deny" || st.Label != container || st.Notified == 0 {
				t.Errorf("held as %+v, %v", st, err)
			}
			if err := errors.Join(h.Allow(), h.Leave()); err != nil {
				t.Fatal(err)
			}
			docker(t, "restart", container)
			if n := filtersOf(t, container); n != own {
				t.Errorf("%d filters when it is as it was, %d before", n, own)
			}
		})
	}
}

func filtersOf(t *testing.T, container string) int {
	t.Helper()
	i, err := proc.Read(inspect(t, container).Pid)
	if err != nil {
		t.Fatal(err)
	}
	return i.Filters
}
