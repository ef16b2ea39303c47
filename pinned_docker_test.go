package main

import (
	"reflect"
	"slices"
	"testing"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// A container is split when it answers, from its first call; so is its next boot,
// and the life after that which somebody else began: probes, rule and edits go
// along.
func TestPinnedToAnAnswer(t *testing.T) {
	needServers(t)
	const name, rule = "speaker-e2e-pinned", "ready 80"
	createContainer(t, name, nginx)
	o := bench.Options{SessionDir: t.TempDir(), Tool: "speaker test", Follow: true, Ready: []string{"http://:80/"}}
	w, err := bench.New(o).Watch(soon(t), "docker:"+name, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	do(t, func() error { return w.Pin(rule) })
	do(t, func() error { return w.Edit(policy.Edit{Op: policy.OpDeny, Call: call(t, "acct"), Phase: policy.Run}) })
	answers := earliest(session.MarkReady, "answers 200")
	isPinned(t, w, rule, answers, 0)
	had := edits(w)
	again := func(what string, n bench.Work, err error) bench.Work {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		t.Cleanup(func() { n.Close() })
		isPinned(t, n, rule, answers, 0)
		if !reflect.DeepEqual(edits(n), had) {
			t.Errorf("%s: the edits are %v, were %v", what, edits(n), had)
		}
		if p := n.State().Probes; !slices.Equal(p, o.Ready) {
			t.Errorf("%s: the probes are %q", what, p)
		}
		return n
	}
	n, err := w.Reboot(soon(t))
	w = again("booted again", n, err)
	docker(t, "restart", "-t", "5", name)
	eventually(t, "the next life", func() (bool, string) { s := w.State(); return s.Ended && s.Recorded, "" })
	n, err = w.WatchAgain(soon(t))
	w = again("in the next life", n, err)
	if m := w.Session().Missing(); !m.StartSeen {
		t.Errorf("its start was not seen: %v", w.Session().Completeness())
	}
	sp, _ := w.Session().Split()
	if boot, run := w.Session().Policy(sp).Wide(), w.Session().Policy(sp).Narrow(); !boot.Has(call(t, "listen")) || run.Has(call(t, "listen")) {
		t.Error("the split does not cut boot from run")
	}
}
