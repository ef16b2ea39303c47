package main

import (
	"fmt"
	"slices"
	"testing"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
	"speaker/tui/bench"
)

// A container that somebody restarts has ended for its recording, watched from
// the first call or as it ran; that it runs again is told, and it can be watched
// again. What it calls in its second life is in no set of the first.
func TestRestartedByOthers(t *testing.T) {
	needServers(t)
	for _, x := range []struct{ boot, follow bool }{{true, false}, {true, true}, {false, true}} {
		t.Run(fmt.Sprintf("booted=%v,followed=%v", x.boot, x.follow), func(t *testing.T) {
			boot := x.boot
			name := fmt.Sprintf("speaker-e2e-life-%v-%v", boot, x.follow)
			createContainer(t, name, redis)
			docker(t, "start", name)
			address(t, name, redis)
			b := bench.New(bench.Options{SessionDir: t.TempDir(), ByProcess: true, Tool: "speaker test", Follow: x.follow})
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
			if x.follow {
				seesBoot(t, n)
			}
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

// seesBoot finds, in a life that was followed, redis' boot from its first call, and
// nothing of the life before.
func seesBoot(t *testing.T, w bench.Work) {
	t.Helper()
	s := w.Session()
	m := s.Missing()
	if !m.StartSeen || !m.RanBefore || len(m.Gaps) > 0 {
		t.Errorf("%v", s.Completeness())
	}
	if err := acceptWhenReady(w, 0); err != nil {
		t.Fatal(err)
	}
	sp, _ := s.Split()
	obs := s.Observed(sp)
	if uses := obs[policy.Init]; len(uses) < 10 {
		t.Errorf("%d calls of the runtime", len(uses))
	}
	for _, want := range []string{"arch_prctl", "bind", "listen"} {
		i := slices.IndexFunc(obs[policy.Boot], func(u policy.Use) bool { return u.Call.Name() == want })
		if i < 0 || obs[policy.Boot][i].First < 0 {
			t.Errorf("boot has no %s: %v", want, obs[policy.Boot])
		}
	}
	for _, mark := range s.Marks() {
		if mark.At < 0 || mark.Kind == session.MarkStop {
			t.Errorf("a mark of the life before: %+v", mark)
		}
	}
	for _, a := range s.Arguments() {
		if a.First < 0 {
			t.Errorf("argument values of the life before: %+v", a)
		}
	}
}
