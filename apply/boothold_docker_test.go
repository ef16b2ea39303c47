package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace/proc"
	engines "speaker/trace/target"
	"speaker/trace/target/enginetest"
)

// engine is what a test does to a container.
type engine struct {
	name       string
	controller string
	command    func(args ...string) *exec.Cmd
	id         string
}

func (e engine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (e engine) pid(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(e.run(t, "inspect", "-f", "{{.State.Pid}}", e.id))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// withoutGetppid needs getppid in boot alone, and what no run set may have.
func withoutGetppid() policy.Policy {
	obs := policy.Observed{}
	for _, c := range policy.Calls(policy.X86_64) {
		u := policy.Use{Call: c, Count: 1}
		obs[policy.Boot] = append(obs[policy.Boot], u)
		switch c.String() {
		case "getppid", "seccomp", "ptrace", "io_uring_setup", "io_uring_enter", "io_uring_register":
		default:
			obs[policy.Run] = append(obs[policy.Run], u)
		}
	}
	return policy.Derive(obs, nil)
}

// bootHeld has the engine start, or start again, a container under a hold.
func (e engine) bootHeld(t *testing.T, verb string) (*Hold, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	t.Cleanup(func() { e.leaves(t) })
	return BootHold(ctx, e.id, Booting{Label: e.name, Arm: engines.BootNames(engines.Target{ID: e.id}), Controller: e.controller,
		Start: func() error {
			out, err := e.command(verb, e.id).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", verb, err, out)
			}
			return nil
		}}, withoutGetppid())
}

// execs is how many times a test has a program come in.
func execs() int {
	if os.Getenv("SPEAKER_TEST_LONG") != "" {
		return 50
	}
	return 4
}

// comesIn runs a program whose very first call is a removed one, and wants its
// answers, and what the keeper counts.
func (e engine) comesIn(t *testing.T, h *Hold, want string, more LateStatus) {
	t.Helper()
	before := *status(t, h).Late
	for range execs() {
		out, err := e.command("exec", e.id, "/first").CombinedOutput()
		got := "0"
		if x := (*exec.ExitError)(nil); errors.As(err, &x) {
			got = strconv.Itoa(x.ExitCode())
		}
		if strings.Contains(strings.ToLower(string(out)), "operation not permitted") {
			got = "refused"
		}
		if got != want {
			t.Fatalf("ended with %s, want %s: %v: %s", got, want, err, out)
		}
	}
	n := uint64(execs())
	eventually(t, "all are counted", func() bool {
		s := *status(t, h).Late
		return s.Caught == before.Caught+n*more.Caught && s.Refused == before.Refused+n*more.Refused && s.Missed == before.Missed
	})
}

// A container is booted under a hold from the first instruction of its program, and
// who comes in later is under the choice from its first call. Somebody else's restart
// is held again, in boot, and with nobody to catch it is as it was.
func (e engine) holdsAtBoot(t *testing.T) {
	h, err := e.bootHeld(t, "start")
	if err != nil {
		t.Fatal(err)
	}
	s := status(t, h)
	if s.Mode != "boot" || s.Pid != e.pid(t) || s.Label != e.name || !s.Alive || !s.Late.Catching {
		t.Errorf("held as %+v, process %d", s, e.pid(t))
	}
	eventually(t, "the calls of its boot", func() bool { return status(t, h).Notified == 7 })
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	caught := LateStatus{Caught: 1}
	e.comesIn(t, h, "0", caught)
	for _, x := range []struct {
		choice LateChoice
		want   string
		counts LateStatus
	}{{LateRun, "1", caught}, {LateRefuse, "refused", LateStatus{Refused: 1}}, {LateBoot, "0", caught}} {
		if err := h.Late(x.choice); err != nil {
			t.Fatal(err)
		}
		e.comesIn(t, h, x.want, x.counts)
	}
	if err := h.WatchHealth(Health{Probes: []string{"cmd:true"}}); err != nil {
		t.Fatal(err)
	}
	first := s.Pid
	e.run(t, "restart", "-t", "0", e.id)
	eventually(t, "it is held again", func() bool {
		s, err := h.Status()
		return err == nil && s.Pid != first && s.Mode == "boot" && s.Notified == 7
	})
	if s := status(t, h); s.Pid != e.pid(t) || len(s.Health.Probes) != 1 {
		t.Errorf("held is %d, it runs as %d; it is asked %v", s.Pid, e.pid(t), s.Health)
	}
	// Anew, as by H: the keeper before leaves, and the next one has its name.
	if err := h.Leave(); err != nil {
		t.Fatal(err)
	}
	if h, err = e.bootHeld(t, "restart"); err != nil {
		t.Fatal(err)
	}
	if s := status(t, h); s.Pid != e.pid(t) || s.Mode != "boot" {
		t.Errorf("held is %d (%s), it runs as %d", s.Pid, s.Mode, e.pid(t))
	}
	// Sealed, for this life alone.
	found := func() bool {
		list, err := FindHolds()
		return err == nil && slices.ContainsFunc(list, func(i HoldInfo) bool { return i.Name == e.id })
	}
	if _, _, err := h.Seal(context.Background(), func() ([]int, error) { return []int{e.pid(t)}, nil }); err != nil {
		t.Fatal(err)
	}
	if !found() {
		t.Error("the sealed hold is not found")
	}
	e.run(t, "restart", "-t", "0", e.id)
	if found() {
		t.Error("the next life is taken for a sealed one")
	}
	if h, err = e.bootHeld(t, "restart"); err != nil {
		t.Fatal(err)
	}
	// And as it was.
	held := filters(t, e.pid(t))
	if err := h.Leave(); err != nil {
		t.Fatal(err)
	}
	e.run(t, "restart", "-t", "0", e.id)
	if n := filters(t, e.pid(t)); n != held-1 {
		t.Errorf("%d filters when it is as it was, %d held", n, held)
	}
	eventually(t, "its keeper is gone", func() bool { _, err := h.Status(); return errors.Is(err, ErrEnded) })
}

func filters(t *testing.T, pid int) int {
	t.Helper()
	i, err := proc.Read(pid)
	if err != nil {
		t.Fatal(err)
	}
	if i.Tracer != 0 {
		t.Errorf("process %d is traced by %d", pid, i.Tracer)
	}
	return i.Filters
}

func TestBootHoldInDocker(t *testing.T) {
	e := inDocker(t, "speaker-apply-boothold", "1", "create")
	e.holdsAtBoot(t)
}

// inDocker makes a container of Docker's, with a stop time in seconds; how is docker's
// command for that.
func inDocker(t *testing.T, name, stop string, how ...string) engine {
	t.Helper()
	d := enginetest.NeedDocker(t)
	e := engine{name: name, controller: engines.BootController(),
		command: func(args ...string) *exec.Cmd { return exec.Command("docker", args...) }}
	d.Remove(t, name)
	e.id = d.Run(t, append(how, "--name", name, "--stop-timeout", stop, enginetest.Image, "/few", "600")...)
	return e
}

func TestBootHoldInPodman(t *testing.T) {
	for _, x := range []struct {
		runtime string
		v2      bool
	}{{"runc", false}, {"crun", false}, {"crun", true}} {
		t.Run(fmt.Sprintf("%s v2 %v", x.runtime, x.v2), func(t *testing.T) {
			if os.Getenv("SPEAKER_TEST_LONG") == "" && (x.runtime != "crun" || x.v2) {
				t.Skip("long: set SPEAKER_TEST_LONG=1 (make test-all)")
			}
			p := enginetest.NeedPodman(t, x.runtime, x.v2)
			e := engine{name: "held", controller: p.Controller(), command: p.Command}
			e.id = p.Run(t, "create", "--name", e.name, "--stop-timeout", "1", enginetest.Image, "/few", "600")
			e.holdsAtBoot(t)
		})
	}
}
