package tui

import (
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/apply"
	"speaker/tui/bench"
)

// A question opens by itself, once, counts down, takes one key for an answer, and
// goes with who asked. Left, it can be shown again.
func TestQuestion(t *testing.T) {
	for key, verdict := range map[string]apply.Verdict{"o": apply.AllowOnce, "a": apply.AllowGood, "d": apply.DenyOnce, "n": apply.DenyGood} {
		d, w := openDemo(t)
		d.size(80, 24)
		d.keys("3")
		until := d.clock.now().Add(10 * time.Second)
		pose := func(list ...apply.Question) {
			w.set(func(s *bench.State) {
				s.Applied, s.Hold = bench.HoldAsk, &apply.Status{Mode: "ask", Watchdog: true, Alive: true, Asked: list}
			})
			d.tick(1)
		}
		q := apply.Question{ID: 7, Call: call("mkdir"), Image: "/bin/\x1b[2Jd", Pid: 4242, Comm: "d\u202e", Text: "/new\x1b]0;x\x07", Waiting: 2, Count: 3, Until: until}
		pose(q)
		d.whole()
		d.wants("Allow mkdir?", "2 threads waiting, denied in 10 s", "a  allow it from now on", "process 4242")
		d.tick(20)
		d.wants("denied in 8 s")
		d.keys("esc")
		d.tick(3)
		if len(d.m.dialogs) != 0 {
			t.Error("it opens again by itself")
		}
		d.wants("Q answers the question", "1 question (Q)")
		d.keys("Q", key)
		if want := "answer 7 " + string(verdict); !slices.Contains(w.log(), want) {
			t.Errorf("%s: did %v", key, w.log())
		}
		q.ID, q.Lapsed, q.Waiting = 8, true, 0
		pose(q)
		if len(d.m.dialogs) != 0 {
			t.Error("a question that lapsed opens by itself")
		}
		d.wants("not answered in time")
		d.keys("Q")
		d.wants("Allow mkdir?")
		pose()
		if strings.Contains(d.picture(), "Allow mkdir?") {
			t.Error("it stays, though nobody asks")
		}
		d.wants("the question waits no more")
	}
}

// A question that comes while one types takes none of it.
func TestQuestionWaitsForQuiet(t *testing.T) {
	d, w := openDemo(t)
	w.set(func(s *bench.State) {
		s.Applied, s.Hold = bench.HoldAsk, &apply.Status{Alive: true, Asked: []apply.Question{{ID: 1, Call: call("mkdir"), Waiting: 1, Until: d.clock.now().Add(time.Minute)}}}
	})
	d.send(press("j"))
	d.tick(1)
	d.wants("Allow mkdir?")
	d.send(press("a"))
	d.tick(1)
	if slices.Contains(w.log(), "answer 1 allow") {
		t.Error("a key that was on its way answered")
	}
}

// A job may be waiting for the answer, and does not keep it from being given.
func TestQuestionDuringJob(t *testing.T) {
	d, w := openDemo(t)
	m := d.m
	m.busy = &running{job: job{title: "reload", long: true}, since: d.clock.now(), cancel: func() {}}
	d.tick(10)
	d.wants("running for")
	w.set(func(s *bench.State) {
		s.Applied, s.Hold = bench.HoldAsk, &apply.Status{Alive: true, Asked: []apply.Question{{ID: 1, Call: call("mkdir"), Waiting: 1, Until: d.clock.now().Add(time.Minute)}}}
	})
	d.tick(1)
	d.wants("Allow mkdir?")
	d.keys("o")
	if !slices.Contains(w.log(), "answer 1 once") {
		t.Errorf("did %v", w.log())
	}
}
