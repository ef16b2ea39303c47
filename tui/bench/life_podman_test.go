package bench

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/session"
	"speaker/trace/target"
	"speaker/trace/target/enginetest"
)

// Every life of a container that is restarted again and again is followed from its
// first call, and has no call of another life, however fast its runtime is.
func TestLivesPodman(t *testing.T) {
	inPodman(t, func(t *testing.T, p *enginetest.Podman, how string) {
		name := fmt.Sprintf("st-lives-%d-%s", os.Getpid(), how) // what runs on the machine is found by its cgroup, too
		p.Run(t, "run", "-d", "--name", name, image, "/few", "60")
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		b := New(Options{NoFile: true, Tool: "speaker test", Follow: true})
		b.controller = p.Controller
		w, err := b.Watch(ctx, "podman:"+name, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		for life := range 4 {
			somebodyRestarts(t, ctx, b, "podman:"+name)
			until(t, "it is told", func() bool { s := w.State(); return s.Ended && s.Recorded && s.Again != 0 })
			n, err := w.WatchAgain(ctx)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { n.Close() })
			calls := func() uint64 {
				return countOf(n.Session().Observed(session.Split{At: n.Session().Length()}), policy.Boot, unix.SYS_GETPPID)
			}
			until(t, "it has called", func() bool { return calls() > 0 })
			if got := calls(); got != 7 || !n.Session().Meta().StartSeen || len(n.Session().Missing().Gaps) > 0 {
				t.Errorf("life %d: %d getppid, 7 were made: %v", life, got, n.Session().Completeness())
			}
			w = n
		}
	})
}

// somebodyRestarts restarts a container past the bench, by its engine.
func somebodyRestarts(t *testing.T, ctx context.Context, b *Bench, ref string) {
	t.Helper()
	engines := target.Find(b.hosts())
	c, err := engines.Resolve(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	d, err := engines.Starter(c)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Restart(ctx, c.ID); err != nil {
		t.Fatal(err)
	}
}
