package main

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// stubborn does not end when it is asked to: it is killed three seconds later.
var stubborn = server{flags: []string{"--stop-timeout", "3"}, command: []string{"sh", "-c", `trap "" TERM; while :; do sleep 0.2; done`}}

// A container is not restarted for a recording that cannot be kept, nor by who
// said that nothing is to be.
func TestBootRefused(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-boot-refused"
	startContainer(t, name, stubborn)
	pid := inspect(t, name).Pid
	file := filepath.Join(t.TempDir(), "there")
	if err := session.Save(file, session.New(session.Meta{})); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		want string
		args []string
	}{
		{"exists", []string{"record", "--boot", name, "-o", file, "--for", "1s"}},
		{"not a directory", []string{"record", "--boot", name, "--session-dir", file, "--for", "1s"}},
		{"--readonly", []string{"record", "--readonly", "--boot", name, "-o", file + ".new", "--for", "1s"}},
	} {
		if out, err := speaker(t, x.args...).CombinedOutput(); err == nil || !strings.Contains(string(out), x.want) {
			t.Errorf("%v: %s", x.args, out)
		}
		if now := inspect(t, name).Pid; now != pid {
			t.Fatalf("%v: process %d before, %d after", x.args, pid, now)
		}
	}
}

// The time of a boot's recording begins when the life before has ended, not when
// the container is asked to stop. Booted again from there, the edits come along.
func TestBootTime(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-boot-time"
	startContainer(t, name, stubborn)
	w, err := bench.New(bench.Options{SessionDir: t.TempDir()}).Watch(soon(t), "docker:"+name, true)
	if err != nil {
		t.Fatal(err)
	}
	beginsSoon(t, w)
	if err := w.Edit(policy.Edit{Op: policy.OpDeny, Call: call(t, "acct"), Phase: policy.Run}); err != nil {
		t.Fatal(err)
	}
	n, err := w.Reboot(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	isOver(t, w)
	beginsSoon(t, n)
	if !reflect.DeepEqual(edits(n), edits(w)) {
		t.Errorf("the edits are %v, were %v", edits(n), edits(w))
	}
}

// beginsSoon looks how long nothing is before the program's start.
func beginsSoon(t *testing.T, w bench.Work) {
	t.Helper()
	eventually(t, "the program's start", func() (bool, string) {
		marks := w.Session().Marks()
		i := slices.IndexFunc(marks, func(m session.Mark) bool { return m.Kind == session.MarkStart })
		if i >= 0 && marks[i].At > 2500*time.Millisecond {
			t.Errorf("it starts at %v", marks[i].At)
		}
		return i >= 0, "no such mark"
	})
	if !w.Session().Meta().StartSeen {
		t.Error("the start was not seen")
	}
}
