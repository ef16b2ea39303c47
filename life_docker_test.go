package main

import (
	"fmt"
	"slices"
	"testing"

	"speaker/session"
	"speaker/trace"
	"speaker/tui/bench"
)

// A container that somebody restarts has ended for its recording, watched from
// the first call or as it ran; that it runs again is told, and it can be watched
// again. What it calls in its second life is in no set of the first.
func TestRestartedByOthers(t *testing.T) {
	needServers(t)
	for _, boot := range []bool{true, false} {
		t.Run(fmt.Sprintf("booted=%v", boot), func(t *testing.T) {
			name := fmt.Sprintf("speaker-e2e-life-%v", boot)
			createContainer(t, name, redis)
			docker(t, "start", name)
			address(t, name, redis)
			b := bench.New(bench.Options{SessionDir: t.TempDir(), ByProcess: true, Tool: "speaker test"})
			w, err := b.Watch(soon(t), "docker:"+name, boot)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { w.Close() })
			eventually(t, "it to be seen", func() (bool, string) { return len(w.Session().Discoveries()) > 0, "" })
			first := w.State().Item.Pid
			docker(t, "restart", "-t", "5", name)
			eventually(t, "the news of its second life", func() (bool, string) {
				s := w.State()
				return s.Ended && s.Again != 0, fmt.Sprintf("%+v", s)
			})
			s := w.Session()
			ended := slices.ContainsFunc(s.Marks(), func(m session.Mark) bool { return m.Kind == session.MarkEnded })
			starts := 0
			for _, m := range s.Marks() {
				if m.Kind == session.MarkStart || m.Kind == session.MarkExec && m.Comm == "redis-server" {
					starts++
				}
			}
			if want := map[bool]int{true: 1, false: 0}[boot]; !ended || starts > want {
				t.Errorf("ended %v, %d starts of the program, want %d", ended, starts, want)
			}
			n, err := w.WatchAgain(soon(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { n.Close() })
			if pid := n.State().Item.Pid; pid == first || pid != inspect(t, name).Pid {
				t.Errorf("watches process %d, was %d before, is %d", pid, first, inspect(t, name).Pid)
			}
			l := startLoad(t, redis, address(t, name, redis))
			l.more(t, 20)
			l.stop()
			eventually(t, "its calls", func() (bool, string) { return len(n.Session().Discoveries()) > 0, "" })
			who := n.Session().Processes
			eventually(t, "who calls", func() (bool, string) {
				return slices.ContainsFunc(who(), func(u session.ProcessUse) bool { return u.Comm == "redis-server" && u.Group == trace.Main }), fmt.Sprint(who())
			})
		})
	}
}
