package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/apply"
	"speaker/policy"
	"speaker/tui/bench"
)

// posed has the hold of the fake ask a question.
func posed(d *driver, w *fakeWork, list ...apply.Question) {
	w.set(func(s *bench.State) {
		s.Applied, s.Hold = bench.HoldAsk, &apply.Status{Mode: "ask", Watchdog: true, Alive: true, Asked: list,
			ByCall: []apply.CallCount{{Call: call("unlink"), Pid: 7, Comm: "d", Count: 2}}}
	})
	d.tick(1)
}

func aQuestion(d *driver) apply.Question {
	return apply.Question{ID: 7, Call: call("mkdir"), Image: "/usr/bin/demo-server", Pid: 4242, Comm: "demo-server", Text: "/var/lib/new",
		Modules: []string{"libc.so.6", "lib\x1b[2Jx.so", "demo-server"}, Waiting: 2, Count: 3, Until: d.clock.now().Add(17 * time.Second)}
}

func TestQuestionScreens(t *testing.T) {
	for _, size := range goldenSizes {
		name := fmt.Sprintf("question-%dx%d", size.w, size.h)
		t.Run(name, func(t *testing.T) {
			d, w := openDemo(t)
			d.size(size.w, size.h)
			d.keys("3")
			d.tick(70) // until messages are gone
			posed(d, w, aQuestion(d))
			d.whole()
			golden(t, name, d.picture())
		})
	}
}

// How long is waited, and what becomes of silence, is chosen before the split is
// crossed; what is no time stays on screen.
func TestAskForm(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "C")
	d.wants("Cross the split, and ask", "10s")
	d.keys("ctrl+u")
	d.send(tea.PasteMsg{Content: "2h"})
	d.keys("enter", "enter")
	d.wants("say a time like 10s, up to 1m0s")
	d.keys("up", "ctrl+u")
	d.send(tea.PasteMsg{Content: "30s"})
	d.keys("enter", "right", "enter")
	d.wants("waits for your answer, 30s at most", "is allowed, and no more")
	d.keys("tab", "enter")
	if !slices.Contains(w.log(), "ask 1m0s 30s true") {
		t.Errorf("did %v", w.log())
	}
}

// A denial can have an error of one's own, this time or from now on.
func TestDenyForm(t *testing.T) {
	for _, x := range []struct {
		text string
		keys []string
		want string
	}{{"EACCES", []string{"enter", "enter"}, "answer 7 deny 13"}, {"default", []string{"enter", "right", "enter"}, "answer 7 never"}} {
		d, w := openDemo(t)
		posed(d, w, aQuestion(d))
		d.keys("esc", "Q", "e")
		d.wants("Deny mkdir", "ENOSYS")
		for _, bad := range []string{"EWHAT", "kill process"} {
			d.keys("ctrl+u")
			d.send(tea.PasteMsg{Content: bad})
			d.keys("enter", "enter")
			d.wants("name one (EPERM")
			d.keys("up")
		}
		d.keys("ctrl+u")
		d.send(tea.PasteMsg{Content: x.text})
		d.keys(x.keys...)
		if !slices.Contains(w.log(), x.want) {
			t.Errorf("did %v, want %s", w.log(), x.want)
		}
	}
}

// A single call is switched for all or one; what makes no sense stays on screen.
func TestRuleForm(t *testing.T) {
	d, w := openDemo(t)
	posed(d, w)
	d.keys("T")
	d.wants("Allow or deny one call", "unlink", "all")
	d.keys("ctrl+u")
	d.send(tea.PasteMsg{Content: "nocall"})
	d.keys("enter", "enter", "enter", "enter")
	d.wants("nocall")
	if len(d.m.dialogs) != 1 {
		t.Error("the form went")
	}
	d.keys("up", "up", "up", "ctrl+u")
	d.send(tea.PasteMsg{Content: "mkdir"})
	d.keys("enter", "ctrl+u")
	d.send(tea.PasteMsg{Content: "12"})
	d.keys("enter", "right", "enter", "enter")
	want := fmt.Sprintf("rule %+v false", apply.Rule{Call: call("mkdir"), Pid: 12, Allow: true})
	if !slices.Contains(w.log(), want) {
		t.Errorf("did %v, want %s", w.log(), want)
	}
	posed(d, w, aQuestion(d))
	d.keys("esc", "T")
	d.wants("mkdir", "4242")
	p := apply.PolicyOf(policy.Spec{Allow: policy.NewSet(call("mkdir"))})
	w.set(func(s *bench.State) { s.InPlace = &p })
	d.tick(1)
	d.keys("enter", "enter", "enter", "enter")
	d.wants("never comes to the keeper")
	if strings.Contains(strings.Join(w.log(), "\n"), "4242") {
		t.Errorf("did %v", w.log())
	}
}
