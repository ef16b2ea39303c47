package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/session"
	"speaker/tui/bench"
)

// exported is a real server, and what was recorded of its whole life in Docker as
// policies: as it is, and with the conditions that the recorded arguments propose.
type exported struct {
	name string
	server
	plain, conditional policy.Policy
}

// What is recorded of real servers in Docker, and exported for others, starts and
// runs them there.
func TestExportedProfiles(t *testing.T) {
	needServers(t)
	var servers []exported
	for name, s := range map[string]server{"nginx": nginx, "redis": redis, "postgres": postgres} {
		servers = append(servers, recordLife(t, name, s))
	}
	root := imageRoot(t)
	t.Run("podman with runc", func(t *testing.T) { inPodman(t, root, "runc", servers) })
	t.Run("podman with crun", func(t *testing.T) { inPodman(t, root, "crun", servers) })
	t.Run("runc", func(t *testing.T) { inBundles(t, root, "runc", servers) })
	t.Run("crun", func(t *testing.T) { inBundles(t, root, "crun", servers) })
	t.Run("containerd", func(t *testing.T) { inContainerd(t, root, servers) })
	t.Run("systemd", func(t *testing.T) { inSystemd(t, root, servers) })
}

// recordLife records a server from its first call to its stop.
func recordLife(t *testing.T, name string, s server) exported {
	t.Helper()
	container := "speaker-e2e-exported-" + name
	createContainer(t, container, s)
	dir := t.TempDir()
	w := boot(t, container, dir)
	l := startLoad(t, s, address(t, container, s))
	eventually(t, "a split to accept", func() (bool, string) {
		err := w.Accept()
		return err == nil, errText(err)
	})
	l.more(t, 200)
	l.stop()
	docker(t, "stop", "-t", "20", container)
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
	e := exported{name: name, server: s, plain: sess.Policy(sp)}
	e.conditional = underConditions(t, sess, sp)
	return e
}

// underConditions is a session's policy with all that is proposed for boot.
func underConditions(t *testing.T, sess *session.Session, sp session.Split) policy.Policy {
	t.Helper()
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
		t.Fatalf("%d calls have conditions, %d were put on; %d values of arguments, split %v, start seen %v, %d calls in boot",
			got, n, len(sess.Arguments()), sp, sess.Meta().StartSeen, p.Wide().Len())
	}
	for _, x := range p.Warnings() {
		if strings.Contains(x.Text, "refuses what was recorded") {
			t.Errorf("a condition made of the recording speaks against it: %s", x.Text)
		}
	}
	return p
}

// file writes the server's profile in a format.
func (e exported) file(t *testing.T, format string, conditions bool) (path string) {
	t.Helper()
	p := e.plain
	if conditions {
		p = e.conditional
	}
	path = filepath.Join(t.TempDir(), e.name+"."+format)
	err := export.ToFile(path, func(w io.Writer) error {
		notes, err := export.Write(w, format, p, export.Options{Phase: policy.Boot, Runtime: true})
		t.Logf("%s: %d calls, under conditions %s; %s", e.name, p.Wide().Len(), p.Conditional(policy.Boot), notes)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// serves asks a server many times by way of a process in its network, and looks
// whether that process has the profile's filter.
func (e exported) serves(t *testing.T, pid int, conditions bool) {
	t.Helper()
	addr := relay(t, pid, fmt.Sprintf("127.0.0.1:%d", e.port))
	eventually(t, e.name+" to serve", func() (bool, string) {
		c := e.client(addr)
		defer c.close()
		err := c.ask()
		return err == nil, errText(err)
	})
	l := startLoad(t, e.server, addr)
	l.more(t, 200)
	l.stop()
	l.check(t, "under the exported profile")
	_, stacks, _, err := bench.New(bench.Options{NoFile: true}).Inspect(soon(t), fmt.Sprintf("pid:%d", pid))
	if err != nil || len(stacks) == 0 {
		t.Fatalf("the filters cannot be read: %v", err)
	}
	other := policy.DataOf(call(t, "socket"))
	other.Args = policy.Args{44, 1} // which none of them asks for
	for _, st := range stacks {
		if got, err := policy.EvalAll(st.Filters, policy.DataOf(call(t, "ptrace"))); err != nil || got.Allows() {
			t.Errorf("the kernel answers ptrace of %s with %v, %v", st.Comm, got, err)
		}
		if got, err := policy.EvalAll(st.Filters, other); err != nil || got.Allows() == conditions {
			t.Errorf("the kernel answers another socket of %s with %v, %v", st.Comm, got, err)
		}
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
