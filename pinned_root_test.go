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

// isPinned waits until a rule has placed a work's split, and finds it d after the
// mark that from finds, or later by what is not known finer.
func isPinned(t *testing.T, w bench.Work, rule string, from func([]session.Mark) (time.Duration, bool), d time.Duration) session.Split {
	t.Helper()
	var sp session.Split
	eventually(t, "a split by "+rule, func() (ok bool, said string) {
		sp, ok = w.Session().Split()
		return ok, sp.How
	})
	at, ok := from(w.Session().Marks())
	if !ok || sp.At < at+d || sp.At > at+d+100*time.Millisecond {
		t.Errorf("the split is at %v, and what it waits for at %v (%v)", sp.At, at, ok)
	}
	if sp.Rule != rule || !strings.HasPrefix(sp.How, "pinned to "+rule) {
		t.Errorf("%+v", sp)
	}
	return sp
}

// earliest finds the first mark of a kind whose text has a word.
func earliest(kind, word string) func([]session.Mark) (time.Duration, bool) {
	return func(all []session.Mark) (at time.Duration, ok bool) {
		for _, m := range all {
			if m.Kind == kind && strings.Contains(m.Text, word) && (!ok || m.At < at) {
				at, ok = m.At, true
			}
		}
		return at, ok
	}
}

// A rule splits every boot anew: the first one, the one after it, and the one under
// a hold, which goes over to its run filter there and not where it would propose.
func TestPinnedAcrossBoots(t *testing.T) {
	const rule = "1.5s after listen-wait"
	waits := earliest(session.MarkListenWait, "")
	w := demo(t, bench.Options{})
	do(t, func() error { return w.Pin(rule) })
	do(t, func() error { return w.Edit(policy.Edit{Op: policy.OpDeny, Call: call(t, "acct"), Phase: policy.Run}) })
	isPinned(t, w, rule, waits, 1500*time.Millisecond)
	had := edits(w)
	n, err := w.Reboot(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	isPinned(t, n, rule, waits, 1500*time.Millisecond)
	h, err := n.Hold(soon(t), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	becomes(t, h, bench.HoldDeny)
	sp := isPinned(t, h, rule, waits, 1500*time.Millisecond)
	trials := h.Session().Trials()
	i := slices.IndexFunc(trials, func(x session.Trial) bool { return x.Kind == "deny" })
	if i < 0 || !trials[i].OK || trials[i].At < sp.At {
		t.Errorf("the split is at %v, and tried was %+v", sp.At, trials)
	}
	if all := h.Session().Splits(); len(all) != 1 {
		t.Errorf("splits: %+v", all)
	}
	if !reflect.DeepEqual(edits(h), had) {
		t.Errorf("the edits are %v, were %v", edits(h), had)
	}
}

// A command is recorded and cut by rule: where something happened, long after that,
// and not at all where nothing did, which is said.
func TestRecordByRule(t *testing.T) {
	needTracer(t)
	for _, x := range []struct {
		rule string
		from func([]session.Mark) (time.Duration, bool)
		d    time.Duration
		says string
	}{
		{"exec sleep", earliest(session.MarkExec, "sleep"), 0, "split     at"},
		{"700ms after 2nd exec sleep", last(session.MarkExec, "sleep"), 700 * time.Millisecond, "sleep (pid"},
		{"call nanosleep", nil, 0, "note: no split: pinned: it waits for call nanosleep\n"},
		{"ready 80", nil, 0, "note: no split: pinned: it waits for ready 80\n"},
		{"1h after exec sleep", nil, 0, "note: no split: pinned: 1h0m0s after exec sleep is at 360"},
	} {
		t.Run(x.rule, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.speaker")
			out := output(t, speaker(t, "record", "--split", x.rule, "-o", file, "--", "sh", "-c", "sleep 0.5; sleep 1.5; :"))
			if !strings.Contains(out, x.says) {
				t.Errorf("it does not say %q: %s", x.says, out)
			}
			s, damage, err := session.Open(file)
			if err != nil || damage.String() != "" {
				t.Fatal(err, damage)
			}
			sp, ok := s.Split()
			if x.from == nil {
				if ok || !sp.Waits || !strings.Contains(out, "split     none") {
					t.Errorf("%+v: %s", sp, out)
				}
				return
			}
			at, found := x.from(s.Marks())
			if !ok || !found || sp.At < at+x.d || sp.At > at+x.d+100*time.Millisecond || !strings.Contains(sp.How, x.rule) {
				t.Errorf("the split is at %v (%v), and what it waits for at %v (%v): %+v", sp.At, ok, at, found, sp)
			}
		})
	}
}
