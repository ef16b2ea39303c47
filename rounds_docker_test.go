package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/apply"
	"speaker/policy"
	"speaker/trace/target"
)

// bootOnly removes from run what servers call while they boot and never for a
// request, and allows all else of the native ABI.
func bootOnly(t testing.TB) policy.Policy {
	t.Helper()
	removed := policy.NewSet()
	for _, name := range []string{"bind", "listen", "execve", "execveat", "mkdir", "mkdirat", "setuid", "setgid", "setgroups", "chdir",
		"seccomp", "ptrace", "io_uring_setup", "io_uring_enter", "io_uring_register"} {
		c, err := policy.ParseCall(name)
		if err != nil {
			t.Fatal(err)
		}
		removed = removed.With(c)
	}
	obs := policy.Observed{}
	for _, c := range policy.Calls(policy.Native()) {
		obs[policy.Boot] = append(obs[policy.Boot], policy.Use{Call: c, Count: 1})
		if !removed.Has(c) {
			obs[policy.Run] = append(obs[policy.Run], policy.Use{Call: c, Count: 1})
		}
	}
	return policy.Derive(obs, nil)
}

// rounds is how often something is done: all of it only with SPEAKER_TEST_LONG.
func rounds(usual, all int) int {
	if os.Getenv("SPEAKER_TEST_LONG") != "" {
		return all
	}
	return usual
}

// Rounds of deny and undo on real servers in containers, under load: no request is
// lost, no process ends, and what is let through is let through.
func TestHoldRounds(t *testing.T) {
	needServers(t)
	for name, s := range map[string]server{"nginx": nginx, "redis": redis, "postgres": postgres} {
		t.Run(name, func(t *testing.T) {
			c, h := heldContainer(t, "speaker-e2e-rounds-"+name, s)
			addr := address(t, c.Name, s)
			pids := lasting(t, c.Pid)
			l := startLoad(t, s, addr)
			n := rounds(40, 200)
			var took []time.Duration
			for range n {
				for _, do := range []func() error{h.Deny, h.Allow} {
					begun := time.Now()
					if err := do(); err != nil {
						t.Fatal(err)
					}
					took = append(took, time.Since(begun))
					l.more(t, 4)
				}
			}
			l.stop()
			l.check(t, "in the rounds")
			if now := tree(t, c.Pid); !live(now, pids) {
				t.Errorf("processes %v before, %v after", pids, now)
			}
			if name == "redis" {
				feltByRedis(t, h, address(t, c.Name, s))
			}
			t.Logf("%d rounds, %d requests; a switch took %s", n, l.asked, quantiles(took))
		})
	}
}

// feltByRedis has the server listen anew, which takes a removed call.
func feltByRedis(t *testing.T, h *apply.Hold, addr string) {
	t.Helper()
	w := &wire{addr: addr}
	defer w.close()
	for _, x := range []struct {
		do   func() error
		want string
	}{{h.Deny, "-ERR"}, {h.Allow, "+OK"}} {
		if err := x.do(); err != nil {
			t.Fatal(err)
		}
		if got, err := redisCall(w, "CONFIG", "SET", "port", "6380"); err != nil || !strings.HasPrefix(got, x.want) {
			t.Errorf("another port: %q, %v, want %s", got, err, x.want)
		}
	}
}

// heldContainer runs a server in a container, held from its first instruction.
func heldContainer(t *testing.T, name string, s server) (target.Target, *apply.Hold) {
	t.Helper()
	startContainer(t, name, server{s.flags, toldToGo(s.command), s.port, s.client})
	return inspect(t, name), holdContainer(t, name)
}

// toldToGo is a command behind a shell that waits for a file.
func toldToGo(command []string) []string {
	return append([]string{"sh", "-c", `while [ ! -e /tmp/go ]; do sleep 0.01; done; exec "$@"`, "sh"}, command...)
}

// holdContainer holds what a running container is told to become. It removes the
// container before it ends the hold.
func holdContainer(t testing.TB, name string) *apply.Hold {
	t.Helper()
	release := func() error { return exec.Command("docker", "exec", name, "touch", "/tmp/go").Run() }
	h, err := apply.StartHold(soon(t), name, apply.Waiting{Pid: inspect(t, name).Pid, Release: release}, bootOnly(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("docker", "rm", "-f", name).Run()
		if err := h.End(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// Rounds of injection into fresh containers under load: no request is lost, and no
// process ends.
func TestInjectRounds(t *testing.T) {
	needServers(t)
	for name, s := range map[string]server{"nginx": nginx, "redis": redis, "postgres": postgres} {
		t.Run(name, func(t *testing.T) {
			var stops []time.Duration
			n := rounds(3, 50)
			for range n {
				stops = append(stops, injectRound(t, "speaker-e2e-rounds-"+name, s)...)
			}
			t.Logf("%d rounds; a process was stopped for %s", n, quantiles(stops))
		})
	}
}

// injectRound narrows a fresh container under load, proves it, and returns how long
// each of its processes was stopped.
func injectRound(t testing.TB, name string, s server) []time.Duration {
	t.Helper()
	startContainer(t, name, s)
	addr := address(t, name, s)
	c := inspect(t, name)
	before := lasting(t, c.Pid)
	l := startLoad(t, s, addr)
	spec := bootOnly(t).NarrowSpec()
	f, err := policy.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	l.more(t, 20)
	r, err := apply.Inject(soon(t), c.Pids, f)
	if err != nil {
		t.Fatal(err)
	}
	if proof, err := apply.Prove(soon(t), c.Pids, spec); err != nil || !proof.OK {
		t.Errorf("%v %v", proof.Text, err)
	}
	l.more(t, 20)
	l.stop()
	l.check(t, "around the injection")
	if now := tree(t, c.Pid); !live(now, before) {
		t.Errorf("processes %v before, %v after", before, now)
	}
	return r.Stops
}

// lasting are a server's processes that stay, once there are no others: postgres has one
// for each connection, too.
func lasting(t testing.TB, pid int) (pids []int) {
	t.Helper()
	since := time.Now()
	eventually(t, "its processes", func() (bool, string) {
		if now := tree(t, pid); !slices.Equal(now, pids) {
			pids, since = now, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond, fmt.Sprint(pids)
	})
	return pids
}

// live reports whether all of these processes are there.
func live(now, pids []int) bool {
	return !slices.ContainsFunc(pids, func(pid int) bool { return !slices.Contains(now, pid) })
}

// quantile is the p-th hundredth of sorted times.
func quantile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

func quantiles(times []time.Duration) string {
	slices.Sort(times)
	return fmt.Sprintf("%v (median of %d), %v (p99), %v at most", quantile(times, 50), len(times), quantile(times, 99), quantile(times, 100))
}

// BenchmarkInjectStops measures how long a process of a server under load does not
// run while a filter is put into it, in ten fresh containers.
//
//	go test -run '^$' -bench InjectStops -benchtime 1x .
func BenchmarkInjectStops(b *testing.B) {
	needServers(b)
	for name, s := range map[string]server{"nginx": nginx, "redis": redis, "postgres": postgres} {
		b.Run(name, func(b *testing.B) {
			var stops []time.Duration
			for range 10 * b.N {
				stops = append(stops, injectRound(b, "speaker-bench-stops-"+name, s)...)
			}
			slices.Sort(stops)
			b.ReportMetric(float64(quantile(stops, 50).Microseconds()), "us-median")
			b.ReportMetric(float64(quantile(stops, 99).Microseconds()), "us-p99")
			b.ReportMetric(float64(len(stops))/float64(10*b.N), "processes")
			b.ReportMetric(0, "ns/op")
		})
	}
}
