package apply

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	engines "speaker/trace/target"
	"speaker/trace/target/enginetest"
)

// What ctr starts is held from its first call, and who comes in later is caught. By runc
// alone: where v1 and v2 are side by side, containerd's crun does not run.
func TestBootHoldInContainerd(t *testing.T) {
	c := enginetest.NeedContainerd(t)
	id := fmt.Sprint("speaker-held-", os.Getpid()) // runc's own state is one for all daemons
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel) // after what else is cleaned up
	ctr := func(args ...string) ([]byte, error) {
		return exec.CommandContext(ctx, "ctr", append([]string{"-a", c.Socket}, args...)...).CombinedOutput()
	}
	t.Cleanup(func() { _, _ = ctr("task", "rm", "-f", id) })
	h, err := BootHold(ctx, id, Booting{Label: id, Arm: engines.BootNames(engines.Target{ID: id}), Controller: engines.BootController(),
		Start: func() error {
			out, err := ctr("run", "-d", "localhost/"+enginetest.Image, id, "/few", "600")
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		}}, withoutGetppid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Leave() })
	eventually(t, "the calls of its boot", func() bool { return status(t, h).Notified == 7 })
	if err := h.Late(LateRun); err != nil {
		t.Fatal(err)
	}
	if out, err := ctr("task", "exec", "--exec-id", "one", id, "/first"); err == nil {
		t.Errorf("what came in later may call what was removed: %s", out)
	}
	if s := *status(t, h).Late; s.Caught != 1 || s.Missed != 0 {
		t.Errorf("late: %+v", s)
	}
}
