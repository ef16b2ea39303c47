package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A hundred containers are found by their cgroups, with their facts, within a
// second, each by the process that began first.
func TestListHundred(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	parent, remove, err := NewCgroup("speaker-target-test-hundred")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove() })
	firsts := map[string]int{}
	for i := range 100 {
		id := fmt.Sprintf("%063xf", i+1)
		path := filepath.Join(parent, "libpod-"+id+".scope")
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		firsts[id] = sleeper(t).Process.Pid
		if err := Enter(path, firsts[id]); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			below := filepath.Join(path, "container")
			if err := os.Mkdir(below, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := Enter(below, sleeper(t).Process.Pid); err != nil {
				t.Fatal(err)
			}
		}
	}
	began := time.Now()
	list, _ := Find(alone(t)).List(context.Background())
	took := time.Since(began)
	n := 0
	for _, c := range list {
		if pid, ours := firsts[c.ID]; ours {
			n++
			if c.Pid != pid || c.Engine != "podman" || c.Facts == nil || c.Facts.Processes < 1 || c.Command != "sleep 60" {
				t.Errorf("got %+v, want process %d", c, pid)
			}
		}
	}
	most := time.Second
	if emulated() {
		most *= 8
	}
	if n != 100 || took > most {
		t.Errorf("%d in %v", n, took)
	}
	t.Logf("%d containers in %v", n, took)
}
