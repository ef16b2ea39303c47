package bench

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/session"
	"speaker/trace/target/enginetest"
)

// A container of Podman that runs is booted again through its service, and seen
// from its first call, with either runtime and in either hierarchy. What podman
// exec starts in it is a group of its own, and its runtime's part is Init.
func TestBootPodman(t *testing.T) {
	inPodman(t, func(t *testing.T, p *enginetest.Podman, how string) {
		const name = "st-boot"
		p.Run(t, "create", "--name", name, image, "/few", "4")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		b := New(Options{NoFile: true, Tool: "speaker test"})
		b.controller = p.Controller
		for life := range 2 {
			w, err := b.Watch(ctx, "podman:"+name, true)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { w.Close() })
			if it := w.State().Item; it.Pid == 0 || it.State != "running" || !it.CanBoot {
				t.Errorf("life %d: got %+v", life, it)
			}
			if life == 0 {
				continue // booted again while it runs
			}
			observed := func() policy.Observed { return w.Session().Observed(session.Split{At: w.Session().Length()}) }
			until(t, "its start is recorded", func() bool { return countOf(observed(), policy.Boot, unix.SYS_GETPPID) > 0 })
			before := countOf(observed(), policy.Init, unix.SYS_EXECVE)
			p.Run(t, "exec", name, "/few")
			until(t, "it ends", func() bool { return w.State().Ended })
			obs := observed()
			boot, exec, after := countOf(obs, policy.Boot, unix.SYS_GETPPID), countOf(obs, policy.Exec, unix.SYS_GETPPID), countOf(obs, policy.Init, unix.SYS_EXECVE)
			if boot != 7 || exec != 7 || before == 0 || after <= before {
				t.Errorf("%d getppid in boot, %d in exec, 7 each were made; %d execve in init, %d after the exec", boot, exec, before, after)
			}
			if !w.Session().Meta().StartSeen {
				t.Error("the start was not seen")
			}
		}
	})
}
