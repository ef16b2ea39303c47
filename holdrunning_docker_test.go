package main

import (
	"slices"
	"testing"
	"time"

	"speaker/apply"
	"speaker/trace/proc"
	"speaker/tui/bench"
)

// Servers in containers are held while they run and under load, denied and undone round
// after round, and sealed: no request is lost, no process ends, none keeps a listener. A
// worker that nginx makes under the hold has it, too.
func TestHoldRunningServers(t *testing.T) {
	needServers(t)
	for name, s := range map[string]server{"nginx": nginx, "redis": redis} {
		t.Run(name, func(t *testing.T) {
			name := "speaker-e2e-hold-running-" + name
			startContainer(t, name, s)
			l := startLoad(t, s, address(t, name, s))
			c := inspect(t, name)
			pids := tree(t, c.Pid)
			l.more(t, 20)
			h, r, proof, err := bench.New(bench.Options{}).HoldRunning(soon(t), "docker:"+name, bootOnly(t), func([]apply.Check) {})
			if err != nil || !proof.OK || r.Processes != len(pids) {
				t.Fatalf("%v %+v %v", err, r, proof.Text)
			}
			t.Logf("%d processes; stopped for %s", r.Processes, quantiles(r.Stops))
			l.more(t, 20)
			var took []time.Duration
			for range rounds(10, 200) {
				for _, do := range []func() error{h.Deny, h.Allow} {
					begun := time.Now()
					if err := do(); err != nil {
						t.Fatal(err)
					}
					took = append(took, time.Since(begun))
					l.more(t, 4)
				}
			}
			if now := tree(t, c.Pid); !slices.Equal(now, pids) {
				t.Errorf("processes %v before, %v after", pids, now)
			}
			if s.port == nginx.port { // its workers are made anew, and inherit
				docker(t, "exec", name, "nginx", "-s", "reload")
				eventually(t, "other workers", func() (bool, string) {
					now := tree(t, c.Pid)
					return len(now) == len(pids) && !slices.Equal(now, pids), ""
				})
				if proof, err := apply.Prove(soon(t), c.Pids, bootOnly(t).RunningSpec()); err != nil || !proof.OK {
					t.Error(err, proof.Text)
				}
			}
			for _, pid := range tree(t, c.Pid) {
				if fds, err := proc.Listeners(pid); err != nil || len(fds) > 0 {
					t.Errorf("process %d has listeners %v (%v)", pid, fds, err)
				}
			}
			if s.port == redis.port { // it moves to another port
				l.stop()
				feltByRedis(t, h, address(t, c.Name, s))
			}
			if _, proof, err := h.Seal(soon(t), c.Pids); err != nil {
				t.Error(err, proof.Text)
			}
			if s.port == nginx.port {
				l.more(t, 20)
				l.stop()
			}
			l.check(t, "under the hold")
			t.Logf("%d requests; a switch took %s", l.asked, quantiles(took))
		})
	}
}
