package apply

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/keeper"
	"speaker/policy"
	"speaker/trace/proc"
)

func TestInjectUnderLoad(t *testing.T) {
	s := launch(t)
	if err := s.l.Release(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "ok")
	stop := s.load()
	p := testPolicy()
	if checks := Preflight(s.pids, p, ModeInject); Blocked(checks) {
		t.Errorf("blocked: %+v", checks)
	}
	f, err := policy.Compile(p.NarrowSpec())
	if err != nil {
		t.Fatal(err)
	}
	r, err := Inject(within(t), s.pids, f)
	if err != nil {
		t.Fatal(err)
	}
	if r.Processes != 1 || len(r.Stops) != 1 || r.NoNewPrivs != 0 {
		t.Errorf("%+v", r)
	}
	proof, err := Prove(within(t), s.pids, p.NarrowSpec())
	if err != nil || !proof.OK || proof.Threads < 3 {
		t.Fatalf("%v: %+v", err, proof)
	}
	s.wants("mkdir", "EPERM")
	t.Logf("%d requests answered, stopped for %v, %s", stop(), r.Stops, proof.Text)
	if r, err = Inject(within(t), s.pids, f); err != nil || r.Processes != 1 || len(r.Stops) != 0 {
		t.Errorf("again: %v %+v", err, r)
	}
}

func TestProveFindsDifferences(t *testing.T) {
	s := launch(t)
	if err := s.l.Release(); err != nil {
		t.Fatal(err)
	}
	s.wants("ping", "pong")
	p := testPolicy()
	proof, err := Prove(within(t), s.pids, p.NarrowSpec())
	if err != nil || proof.OK || len(proof.NoFilter) != 1 {
		t.Fatalf("without a filter: %v %+v", err, proof)
	}
	f, err := policy.Compile(p.NarrowSpec())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Inject(within(t), s.pids, f); err != nil {
		t.Fatal(err)
	}
	want := p.NarrowSpec()
	getppid := policy.Call{ABI: policy.X86_64, Nr: unix.SYS_GETPPID}
	want.Allow = want.Allow.Without(getppid)
	proof, err = Prove(within(t), s.pids, want)
	if err != nil || proof.OK || len(proof.Differ) == 0 || proof.Differ[0].Call != getppid || !proof.Differ[0].Got.Allows() {
		t.Fatalf("with too wide a filter: %v %+v", err, proof)
	}
}

func TestHoldDenyAllowSeal(t *testing.T) {
	s, h := held(t, "life")
	s.wants("mkdir", "ok")
	stop := s.load()
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "EPERM")
	if err := h.End(); err == nil {
		t.Error("the hold of a living target was ended")
	}
	if err := h.Allow(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "ok")
	st, err := h.Status()
	if err != nil || st.Mode != keeper.Allow || st.Denied != 1 || !st.Alive || st.Pid != s.l.Pid {
		t.Errorf("%v %+v", err, st)
	}
	if !slices.ContainsFunc(st.ByCall, func(c CallCount) bool { return c.Call.String() == "mkdirat" && c.Count == 3 && c.Pid == s.l.Pid }) {
		t.Errorf("counts: %+v", st.ByCall)
	}
	proof, err := Prove(within(t), s.pids, testPolicy().StartSpec())
	if err != nil || !proof.OK {
		t.Errorf("proof of the hold: %v %+v", err, proof)
	}
	again, err := Attach("life")
	if err != nil {
		t.Fatal(err)
	}
	r, proof, err := again.Seal(within(t), s.pids)
	if err != nil || !proof.OK || r.Processes != 1 {
		t.Fatalf("seal: %v %+v %+v", err, r, proof)
	}
	s.wants("mkdir", "EPERM")
	t.Logf("%d requests answered", stop())
	sealedIsKnown(t)
	if i, err := proc.Read(st.Keeper); err == nil && i.Comm == "speaker-keeper" && i.State != 'Z' {
		t.Errorf("the keeper is still there, in state %c", i.State)
	}
	proof, err = Prove(within(t), s.pids, testPolicy().NarrowSpec())
	if err != nil || !proof.OK {
		t.Errorf("proof of the seal: %v %+v", err, proof)
	}
}

// sealedIsKnown looks at what a seal leaves for speakers to come.
func sealedIsKnown(t *testing.T) {
	t.Helper()
	found, err := FindHolds()
	if err != nil || len(found) != 1 || !found[0].Sealed() || found[0].Alive {
		t.Fatalf("left: %+v %v", found, err)
	}
	start, narrow, err := found[0].Specs()
	if err != nil || !start.Allow.Equal(narrow.Allow) || start.Notify.Len() == 0 || !narrow.Allow.Equal(testPolicy().Narrow()) {
		t.Errorf("specs: %v %v %v", start, narrow, err)
	}
	if _, err := Attach(found[0].Name); !errors.Is(err, ErrSealed) {
		t.Errorf("attach: %v", err)
	}
}

// Seal makes the checks itself: what they speak against is refused, and the hold
// is as before.
func TestSealRefused(t *testing.T) {
	ownHolds(t)
	dir, pids := group(t)
	l, err := Launch([]string{target(t), "pause"}, LaunchOptions{Cgroup: dir})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Wait() }()
	pause, err := policy.ParseCall("pause")
	if err != nil {
		t.Fatal(err)
	}
	p := testPolicy()
	p = policy.Derive(policy.Observed{policy.Run: uses(p.Narrow()), policy.Boot: uses(p.Wide())},
		[]policy.Edit{{Op: policy.OpDeny, Call: pause, Phase: policy.Run}})
	h, err := StartHold(within(t), "sleeper", Waiting{Pid: l.Pid, Release: l.Release, Cgroup: dir}, p)
	if err != nil {
		t.Fatal(err)
	}
	awaitPause(t, l.Pid)
	before, err := proc.Read(l.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Seal(within(t), pids); err == nil || !strings.Contains(err.Error(), "pause") {
		t.Errorf("seal: %v", err)
	}
	st, err := h.Status()
	if err != nil || st.Mode != keeper.Boot {
		t.Errorf("afterwards: %v %+v", err, st)
	}
	if i, err := proc.Read(l.Pid); err != nil || i.Filters != before.Filters {
		t.Errorf("%d filters before, %d after (%v)", before.Filters, i.Filters, err)
	}
}

func uses(s policy.Set) []policy.Use {
	var out []policy.Use
	for _, c := range s.Calls() {
		out = append(out, policy.Use{Call: c, Count: 1})
	}
	return out
}

// A keeper leaves with its target, takes the cgroup along, and End then has
// nothing to say against it, at whatever moment it is asked.
func TestEndWithTarget(t *testing.T) {
	for _, late := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond} {
		t.Run(late.String(), func(t *testing.T) {
			ownHolds(t)
			dir, pids := group(t)
			l, err := Launch([]string{target(t), "pause"}, LaunchOptions{Cgroup: dir})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { _ = l.Wait(); close(ended) }()
			h, err := StartHold(within(t), "passing", Waiting{Pid: l.Pid, Release: l.Release, Cgroup: dir}, testPolicy())
			if err != nil {
				t.Fatal(err)
			}
			if err := h.End(); err == nil {
				t.Error("the hold of a living target was ended")
			}
			_ = unix.Kill(l.Pid, unix.SIGKILL)
			<-ended
			time.Sleep(late) // the moment of the question, which waits for nothing
			if err := h.End(); err != nil {
				t.Error(err)
			}
			if err := h.Deny(); !errors.Is(err, ErrEnded) {
				t.Errorf("deny: %v", err)
			}
			if list, err := pids(); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the cgroup stays, with %v", list)
			}
			if found, err := FindHolds(); err != nil || len(found) != 0 {
				t.Errorf("left: %+v %v", found, err)
			}
		})
	}
}

// A keeper that is killed leaves the target narrower, alive, and is spoken of.
func TestKeeperKilled(t *testing.T) {
	for _, mode := range []keeper.Mode{keeper.Boot, keeper.Deny} {
		t.Run(string(mode), func(t *testing.T) {
			s, h := held(t, "bereft")
			s.wants("mkdir", "ok")
			if mode == keeper.Deny {
				if err := h.Deny(); err != nil {
					t.Fatal(err)
				}
			}
			stop := s.load()
			st, err := h.Status()
			if err != nil {
				t.Fatal(err)
			}
			for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM} {
				_ = unix.Kill(st.Keeper, sig)
			}
			if _, err := h.Status(); err != nil {
				t.Fatal("a signal ended it: ", err)
			}
			if err := unix.Kill(st.Keeper, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
				found, err := FindHolds()
				if err != nil {
					t.Fatal(err)
				}
				if len(found) == 1 && !found[0].Alive && found[0].Pid == s.l.Pid {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("found %+v", found)
				}
			}
			s.wants("mkdir", "ENOSYS")
			if err := h.Allow(); !errors.Is(err, ErrBereft) {
				t.Errorf("allow: %v", err)
			}
			t.Logf("%d requests answered", stop())
		})
	}
}

// A workbench that is killed leaves the hold in place, for the next one.
func TestWorkbenchKilled(t *testing.T) {
	needRoot(t)
	ownHolds(t)
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe", "_workbench", dir, keeperDir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, convErr := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "held ")))
	if err != nil || convErr != nil {
		t.Fatalf("workbench: %q %v", line, err)
	}
	t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGKILL) })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := ask(t, dir, "mkdir"); got != "ok" {
		t.Errorf("mkdir: %s", got)
	}
	h, err := Attach("orphan")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, dir, "mkdir"); got != "EPERM" {
		t.Errorf("mkdir: %s", got)
	}
	// The target's end is the keeper's.
	_ = unix.Kill(pid, unix.SIGKILL)
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if found, err := FindHolds(); err == nil && len(found) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the keeper stays")
		}
	}
}

func TestLaunch(t *testing.T) {
	_, err := Launch([]string{"/nonexistent/program"}, LaunchOptions{})
	if err == nil {
		t.Fatal("a program that is not there was launched")
	}
	if _, err = Launch([]string{"true"}, LaunchOptions{Cgroup: "/nonexistent"}); err == nil || !strings.Contains(err.Error(), "enter cgroup") {
		t.Fatalf("a cgroup that is not there: %v", err)
	}
	l, err := Launch([]string{"sh", "-c", "exit 7"}, LaunchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(l.Pid) + "/comm"); err != nil || strings.TrimSpace(string(b)) == "sh" {
		t.Errorf("it did not wait: %q %v", b, err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := l.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("exit: %v", err)
	}
	if l, err = Launch([]string{"true"}, LaunchOptions{}); err != nil {
		t.Fatal(err)
	}
	l.Cancel()
	if err := l.Wait(); err == nil {
		t.Error("a cancelled launch ran")
	}
}
