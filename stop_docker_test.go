package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
)

// What a container calls while Docker stops it is a phase of its own, whatever
// signal its image asks for.
func TestStopOfAContainerIsAPhase(t *testing.T) {
	needServers(t)
	for _, x := range []struct {
		name   string
		server server
		flags  []string
		signal string
	}{
		{"nginx", nginx, []string{"--stop-signal", "SIGQUIT"}, "SIGQUIT"},
		{"redis", redis, nil, "SIGTERM"},
	} {
		t.Run(x.name, func(t *testing.T) {
			name := "speaker-e2e-stop-" + x.name
			startContainer(t, name, x.server, x.flags...)
			address(t, name, x.server)
			file := filepath.Join(t.TempDir(), "s.speaker")
			v := begin(t, speaker(t, "record", "--for", "60s", name, "-o", file))
			v.says(t, "recording")
			eventually(t, "a split to propose", func() (bool, string) {
				s, _, err := session.Open(file)
				if err != nil {
					return false, err.Error()
				}
				sp, ok := s.Propose(s.Length())
				return ok && s.Length() > 2*time.Second, sp.How
			})
			docker(t, "stop", name)
			v.says(t, "session saved") // it ends with its target
			s, _, err := session.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			sp, ok := s.Split()
			if !ok || sp.Stop <= sp.At || sp.Stop > s.Length() {
				t.Fatalf("split %+v, %v; marks %+v", sp, ok, s.Marks())
			}
			if len(s.Observed(sp)[policy.Stop]) == 0 {
				t.Error("nothing was called while it stopped")
			}
			marks := 0
			for _, m := range s.Marks() {
				if m.Kind == session.MarkStop {
					marks++
					if m.At != sp.Stop || !strings.HasPrefix(m.Text, x.signal+" from outside") {
						t.Errorf("mark %+v, stop at %v", m, sp.Stop)
					}
				}
			}
			if marks != 1 {
				t.Errorf("%d stop marks", marks)
			}
		})
	}
}
