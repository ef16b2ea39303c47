package bench

import (
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
	"speaker/trace/target/enginetest"
)

// lonely keeps the machine's own engines out of a test: those that it does not
// name are not there.
func lonely(t *testing.T) {
	t.Helper()
	none := t.TempDir() + "/none"
	t.Setenv("DOCKER_HOST", "unix://"+none)
	t.Setenv("CONTAINER_HOST", "unix://"+none)
	t.Setenv("CONTAINERD_ADDRESS", none)
	t.Setenv("CONTAINER_RUNTIME_ENDPOINT", none)
}

func needBPF(t *testing.T) {
	t.Helper()
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
}

// until polls, at most thirty seconds.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30 s until %s", what)
		}
	}
}

// countOf is how often a call was made in a phase.
func countOf(obs policy.Observed, p policy.Phase, nr uint32) (n uint64) {
	for _, u := range obs[p] {
		if u.Call.Nr == nr {
			n += u.Count
		}
	}
	return n
}

// image is what the engines run.
const image = enginetest.Image
