package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/session"
	"speaker/trace/target/enginetest"
	"speaker/tui/bench"
)

// What is recorded of real servers in Docker, and exported with the conditions
// that the recorded arguments propose and without, starts and runs them in Podman,
// with either runtime.
func TestExportedProfilesInPodman(t *testing.T) {
	needServers(t)
	archive := filepath.Join(t.TempDir(), "servers.tar")
	docker(t, "save", "-o", archive, image)
	servers := []struct {
		name string
		server
	}{{"nginx", nginx}, {"redis", redis}, {"postgres", postgres}}
	profiles := map[string][2]string{} // without and with conditions
	for _, x := range servers {
		profiles[x.name] = exported(t, x.name, x.server)
	}
	for _, runtime := range []string{"runc", "crun"} {
		t.Run(runtime, func(t *testing.T) {
			p := enginetest.NeedPodman(t, runtime, false)
			p.Run(t, "load", "-i", archive)
			for _, x := range servers {
				for i, what := range []string{"without", "with"} {
					t.Run(x.name+" "+what+" conditions", func(t *testing.T) {
						serveInPodman(t, p, x.name+"-"+what, x.server, profiles[x.name][i], i == 1)
					})
				}
			}
		})
	}
}

// exported records a server from its first call to its stop, and returns the
// profiles for its whole life.
func exported(t *testing.T, name string, s server) (paths [2]string) {
	t.Helper()
	name = "speaker-e2e-exported-" + name
	createContainer(t, name, s)
	dir := t.TempDir()
	w := boot(t, name, dir)
	l := startLoad(t, s, address(t, name, s))
	eventually(t, "a split to accept", func() (bool, string) {
		err := w.Accept()
		return err == nil, errText(err)
	})
	l.more(t, 200)
	l.stop()
	docker(t, "stop", "-t", "20", name)
	eventually(t, "its end", func() (bool, string) { return w.State().Ended, "" })
	file := filepath.Join(dir, "saved.speaker")
	if err := w.SaveAs(file); err != nil {
		t.Fatal(err)
	}
	sess, _, err := session.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	sp, _ := sess.Split()
	paths[0] = profileFile(t, sess.Policy(sp), dir, "without.json")
	n := 0
	for _, e := range sess.Policy(sp).Entries() {
		prop, ok := sess.ProposeConditions(e.Call, false)
		if !ok || len(prop.Rules) == 0 || !e.Boot {
			continue
		}
		sess.AddEdit(policy.Edit{Op: policy.OpCondition, Call: e.Call, Phase: policy.Boot, When: prop.Conditions(), From: policy.OriginObserved})
		n++
	}
	p := sess.Policy(sp)
	if got := p.Conditional(policy.Boot).Len(); got != n || n < 2 || !p.Conditional(policy.Boot).Has(call(t, "socket")) {
		t.Fatalf("%d calls have conditions, %d were put on", got, n)
	}
	for _, x := range p.Warnings() {
		if strings.Contains(x.Text, "refuses what was recorded") {
			t.Errorf("a condition made of the recording speaks against it: %s", x.Text)
		}
	}
	paths[1] = profileFile(t, p, dir, "with.json")
	return paths
}

func profileFile(t *testing.T, p policy.Policy, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	err := export.ToFile(path, func(w io.Writer) error {
		notes, err := export.Write(w, "podman", p, export.Options{Phase: policy.Boot, Runtime: true})
		t.Logf("%s: %d calls, %d under conditions %s %s", name, p.Wide().Len(), p.Conditional(policy.Boot).Len(), p.Conditional(policy.Boot), notes)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// serveInPodman starts a server under a profile and asks it many times.
func serveInPodman(t *testing.T, p *enginetest.Podman, name string, s server, profile string, conditions bool) {
	name = "conds-" + name
	p.Run(t, slices.Concat([]string{"run", "-d", "--name", name, "--security-opt", "seccomp=" + profile}, s.flags, []string{image}, s.command)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.Run(t, "logs", "--tail", "20", name))
		}
		p.Run(t, "rm", "-f", "-t", "0", name)
	})
	pid, err := strconv.Atoi(strings.TrimSpace(p.Run(t, "inspect", "-f", "{{.State.Pid}}", name)))
	if err != nil || pid == 0 {
		t.Fatalf("it does not run: pid %d, %v", pid, err)
	}
	addr := relay(t, pid, fmt.Sprintf("127.0.0.1:%d", s.port))
	eventually(t, name+" to serve", func() (bool, string) {
		c := s.client(addr)
		defer c.close()
		err := c.ask()
		return err == nil, errText(err)
	})
	l := startLoad(t, s, addr)
	l.more(t, 200)
	l.stop()
	l.check(t, "in Podman, under the exported profile")
	_, stacks, _, err := bench.New(bench.Options{NoFile: true}).Inspect(soon(t), fmt.Sprintf("pid:%d", pid))
	if err != nil || len(stacks) == 0 {
		t.Fatalf("the filters cannot be read: %v", err)
	}
	d := policy.DataOf(call(t, "socket"))
	d.Args = policy.Args{44, 1} // which none of them asks for
	if got, err := policy.EvalAll(stacks[0].Filters, d); err != nil || got.Allows() == conditions {
		t.Errorf("the kernel answers another socket with %v, %v", got, err)
	}
}

// relay listens outside of a container's network for who cannot enter it.
func relay(t *testing.T, pid int, to string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in, err := dialIn(t.Context(), pid, to)
				if err != nil {
					return
				}
				defer in.Close()
				go func() { _, _ = io.Copy(in, c); in.Close() }()
				_, _ = io.Copy(c, in)
			}()
		}
	}()
	return l.Addr().String()
}
