package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace"
	"speaker/trace/proc"
	"speaker/trace/target"
)

func needTracer(t *testing.T) {
	t.Helper()
	needRoot(t)
	if err := trace.Supported(); err != nil {
		t.Skip(err)
	}
}

// A workbench that is killed during a hold leaves the demo serving under its
// filter, with a keeper that a later speaker finds and commands.
func TestKillHolding(t *testing.T) {
	needTracer(t)
	t.Run("in boot", func(t *testing.T) {
		h := killHolding(t, "held")
		h.want(t, "boot")
		h.isPrivate(t)
		h.serves(t)
		h.want(t, "deny", "deny")
		h.serves(t)
		h.want(t, "allow", "allow")
		h.serves(t)
		if out, err := speaker(t, "hold", h.name, "end").CombinedOutput(); err == nil {
			t.Errorf("a hold of what lives was ended: %s", out)
		}
	})
	t.Run("in run", func(t *testing.T) {
		h := killHolding(t, "denied")
		h.want(t, "deny")
		h.serves(t)
		if out, err := speaker(t, "hold", h.name, "seal").CombinedOutput(); err == nil || !strings.Contains(string(out), "seal --yes") {
			t.Errorf("a seal without a word for it: %s", out)
		}
		h.want(t, "deny")
		if out := output(t, speaker(t, "hold", h.name, "seal", "--yes")); !strings.Contains(out, "Proved:") {
			t.Errorf("seal: %s", out)
		}
		h.serves(t)
		for pid, n := range filters(t, tree(t, h.pid)) {
			if n != h.filters+1 {
				t.Errorf("process %d has %d filters after the seal, %d before", pid, n, h.filters)
			}
		}
		if out := output(t, speaker(t, "hold")); !regexp.MustCompile(h.name + ` +pid \d+ +sealed`).MatchString(out) {
			t.Errorf("hold: %s", out)
		}
		for _, verb := range []string{"deny", "allow", "seal"} {
			if out, err := speaker(t, "hold", h.name, verb, "--yes").CombinedOutput(); err == nil || !strings.Contains(string(out), "it is sealed: that is permanent") {
				t.Errorf("%s after the seal: %s", verb, out)
			}
		}
	})
}

// isPrivate has a hold listed, by root alone, and switched by nobody who said
// that nothing may be.
func (h *held) isPrivate(t *testing.T) {
	t.Helper()
	if out := output(t, speaker(t, "hold")); !regexp.MustCompile(h.name + ` +pid \d+ +boot +alive`).MatchString(out) {
		t.Errorf("hold: %s", out)
	}
	if out, err := nobody(speaker(t, "hold")).CombinedOutput(); err == nil || !strings.Contains(string(out), "only root can list holds") {
		t.Errorf("listed by nobody: %s", out)
	}
	if out, err := speaker(t, "--readonly", "hold", h.name, "deny").CombinedOutput(); err == nil || !strings.Contains(string(out), "--readonly") {
		t.Errorf("denied though read-only: %s", out)
	}
	h.want(t, "boot")
}

// held is a demo under a hold that lost its workbench.
type held struct {
	name    string
	pid     int // of its first process
	filters int // of each process, before the kill
	addr    string
}

// killHolding kills a workbench when it says a word, and finds the hold.
func killHolding(t *testing.T, word string) *held {
	t.Helper()
	removeNew(t)
	v := begin(t, exec.Command("/proc/self/exe", "_test-hold", t.TempDir()))
	h := &held{name: v.says(t, word)}
	cgroup := own(t)[h.name]
	had := filters(t, pidsOf(cgroup))
	if len(had) == 0 {
		t.Fatalf("no process in %s", cgroup.CgroupPath)
	}
	for pid, n := range had {
		if h.filters = n; n == 0 {
			t.Errorf("process %d has no filter", pid)
		}
	}
	v.kill()
	out := output(t, speaker(t, "hold"))
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); f[0] == h.name {
			fmt.Sscan(f[2], &h.pid)
		}
	}
	if h.pid == 0 {
		t.Fatalf("the hold of %s is not found: %s", h.name, out)
	}
	eventually(t, "the demo to wait for requests", func() (bool, string) {
		if w := proc.ListenWaits(tree(t, h.pid)); len(w) > 0 {
			h.addr = strings.TrimPrefix(w[0].Addr, "tcp ")
		}
		return h.addr != "", "nothing listens"
	})
	return h
}

// want gives the hold a command, "status" for none, and checks the mode that it
// then tells, and that nobody's filters became fewer.
func (h *held) want(t *testing.T, mode string, command ...string) {
	t.Helper()
	out := output(t, speaker(t, append([]string{"hold", h.name}, command...)...))
	if !strings.HasPrefix(out, h.name+": "+mode+" since") {
		t.Errorf("hold %v: %q, want %s", command, out, mode)
	}
	for pid, n := range filters(t, tree(t, h.pid)) {
		if n < h.filters {
			t.Errorf("process %d has %d filters, had %d", pid, n, h.filters)
		}
	}
}

// serves asks the demo for pages, in its own network.
func (h *held) serves(t *testing.T) {
	t.Helper()
	c := http.Client{Timeout: answerTime, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialIn(ctx, h.pid, h.addr) }}}
	for range 20 {
		r, err := c.Get("http://demo/")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Fatalf("answered %s", r.Status)
		}
	}
}

// dialIn connects from within the network namespace of a process, on a thread
// that ends with it.
func dialIn(ctx context.Context, pid int, addr string) (net.Conn, error) {
	type result struct {
		net.Conn
		error
	}
	got := make(chan result)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil {
			got <- result{nil, err}
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			got <- result{nil, err}
			return
		}
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		got <- result{c, err}
	}()
	r := <-got
	return r.Conn, r.error
}

// Killed while it starts the demo under a filter, a workbench leaves none that
// runs without: what waits ends, what runs is filtered.
func TestKillStartingHold(t *testing.T) {
	needTracer(t)
	for _, late := range []time.Duration{0, 10 * time.Millisecond, 40 * time.Millisecond} {
		t.Run(late.String(), func(t *testing.T) {
			removeNew(t)
			v := begin(t, exec.Command("/proc/self/exe", "_test-hold", t.TempDir()))
			v.says(t, "starting")
			first := own(t)
			var second target.Target
			for end := time.Now().Add(patience); second.Pid == 0; time.Sleep(time.Millisecond) {
				for name, c := range own(t) {
					if first[name].CgroupPath == "" {
						second = c
					}
				}
				if time.Now().After(end) {
					t.Fatal("no second demo")
				}
			}
			time.Sleep(late) // the moment of the kill, which waits for nothing
			v.kill()
			eventually(t, "the end of what waits, or a filter in all that runs", func() (bool, string) {
				for _, pid := range pidsOf(second) {
					i, err := proc.Read(pid)
					if err == nil && i.State != 'Z' && (i.Filters == 0 || i.Tracer != 0) {
						return false, fmt.Sprintf("process %d (%s) has %d filters and is traced by %d", pid, i.Comm, i.Filters, i.Tracer)
					}
				}
				return true, ""
			})
			t.Logf("filters by process of what is left: %v", filters(t, pidsOf(second)))
		})
	}
}

func pidsOf(c target.Target) []int {
	pids, _ := c.Pids()
	return pids
}

// mine are the demos, by the names of their cgroups, that were seen to be started
// by this test. Others on this host are nobody's to touch here.
var mine = map[string]bool{}

// own lists the demos that this test started. It knows them from when it saw
// them below itself; a demo lives on without its speaker.
func own(t *testing.T) map[string]target.Target {
	t.Helper()
	list, err := target.Own("speaker-demo-")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]target.Target{}
	for _, c := range list {
		if mine[c.Name] = mine[c.Name] || isBelow(c.Pid); mine[c.Name] {
			out[c.Name] = c
		}
	}
	return out
}

// isBelow reports whether a process descends from this one.
func isBelow(pid int) bool {
	for pid > 1 && pid != os.Getpid() {
		i, err := proc.Read(pid)
		if err != nil {
			return false
		}
		pid = i.PPid
	}
	return pid == os.Getpid()
}

// removeNew ends, with the test, the demos that it started, and their holds.
func removeNew(t *testing.T) {
	t.Helper()
	before := own(t)
	t.Cleanup(func() {
		for name, c := range own(t) {
			if before[name].CgroupPath != "" {
				continue
			}
			eventually(t, "the end of "+name, func() (bool, string) {
				pids := pidsOf(c)
				for _, pid := range slices.Backward(pids) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
				return len(pids) == 0, fmt.Sprint(pids)
			})
			_ = speaker(t, "hold", name, "end").Run() // there may be none
			eventually(t, "the cgroup to be free", func() (bool, string) {
				err := os.Remove(c.CgroupPath)
				return err == nil || os.IsNotExist(err), errText(err)
			})
		}
	})
}
