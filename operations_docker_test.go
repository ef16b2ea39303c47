package main

import (
	"fmt"
	"strings"
	"testing"

	"speaker/apply"
	"speaker/tui/bench"
)

// eater reads lines into its memory, and gets an endless one from whoever writes it.
var eater = server{flags: []string{"--memory", "32m", "--memory-swap", "32m"}, command: []string{"sh", "-c", "mkfifo /tmp/f 2>/dev/null; exec tail /tmp/f"}}

// What Docker does to a held container while removed calls are denied: the container is
// as without us, and the hold's status and journal say what became of it.
func TestOperationsDuringHold(t *testing.T) {
	needServers(t)
	for _, x := range []struct {
		name    string
		server  server
		flags   []string
		do      func(t *testing.T, name string)
		state   string // of the container, then
		mode    string // of the hold; "": either, for the watchdog may be too late
		journal string // its last entry
	}{
		{"pause", nginx, nil, func(t *testing.T, name string) {
			docker(t, "pause", name)
			docker(t, "unpause", name)
			address(t, name, nginx)
		}, "running 0 false", "deny", "it was told to"},
		{"exec", redis, nil, func(t *testing.T, name string) {
			if got := docker(t, "exec", name, "redis-cli", "ping"); got != "PONG" {
				t.Errorf("answered %q", got)
			}
		}, "running 0 false", "deny", "it was told to"},
		{"health", nginx, []string{"--health-cmd", "test -e /etc/passwd", "--health-interval", "500ms"}, func(t *testing.T, name string) {
			eventually(t, "its health", func() (bool, string) {
				got := docker(t, "inspect", "-f", "{{.State.Health.Status}}", name)
				return got == "healthy", got
			})
		}, "running 0 false", "deny", "it was told to"},
		{"restart", redis, nil, func(t *testing.T, name string) { docker(t, "restart", name); address(t, name, redis) },
			"running 0 false", "boot", "started again"},
		{"stop", redis, nil, func(t *testing.T, name string) { docker(t, "stop", "-t", "30", name) },
			"exited 0 false", "deny", "the target has ended: status 0"},
		{"oom", eater, nil, func(t *testing.T, name string) {
			docker(t, "exec", "-d", name, "sh", "-c", "cat /dev/zero >/tmp/f")
			docker(t, "wait", name)
		}, "exited 137 true", "", "the target has ended: killed by SIGKILL; killed for want of memory: 1"},
	} {
		t.Run(x.name, func(t *testing.T) {
			name := "speaker-e2e-operations-" + x.name
			startContainer(t, name, x.server, x.flags...)
			h := bootDenied(t, name, x.server)
			before := holdStatus(t, h)
			x.do(t, name)
			if got := docker(t, "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}", name); got != x.state {
				t.Errorf("the container is %s, want %s", got, x.state)
			}
			eventually(t, "the journal", func() (bool, string) { got := lastEntry(t, h); return strings.HasPrefix(got, x.journal), got })
			st := holdStatus(t, h)
			runs := strings.HasPrefix(x.state, "running")
			if x.mode != "" && string(st.Mode) != x.mode || st.Alive != runs || !st.Late.Catching || st.Late.Missed != 0 || len(st.Asked) != 0 {
				t.Errorf("the hold is %+v", st)
			}
			if again := x.mode == "boot"; runs && (st.Pid != inspect(t, name).Pid || (st.Pid != before.Pid) != again) {
				t.Errorf("held is %d, was %d, it runs as %d", st.Pid, before.Pid, inspect(t, name).Pid)
			}
			if came := x.name == "exec" || x.name == "health"; came && st.Late.Caught == before.Late.Caught {
				t.Error("who came in was not caught")
			}
		})
	}
}

// bootDenied boots a container again under a hold, and denies once it serves. The
// keeper is let go with the test.
func bootDenied(t *testing.T, name string, s server) *apply.Hold {
	t.Helper()
	h, err := bench.New(bench.Options{}).BootHeld(soon(t), name, bootOnly(t), func([]apply.Check, bool) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Leave(); err != nil {
			t.Error(err)
		}
	})
	if s.client != nil {
		address(t, name, s)
	} else {
		docker(t, "exec", name, "sh", "-c", "while ! [ -p /tmp/f ]; do sleep 0.1; done")
	}
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	return h
}

func holdStatus(t *testing.T, h *apply.Hold) apply.Status {
	t.Helper()
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// lastEntry is what a hold's keeper wrote down last.
func lastEntry(t *testing.T, h *apply.Hold) string {
	t.Helper()
	list, err := apply.HoldJournal(holdStatus(t, h).Name)
	if err != nil || len(list) == 0 {
		return fmt.Sprint("none: ", err)
	}
	if why := list[len(list)-1].Why; why != "" {
		return why
	}
	return "it was told to"
}
