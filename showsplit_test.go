package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
)

// lateFile is a recording of half a minute whose program boots for two seconds,
// and uses one call for the first time long after. The split is as given.
func lateFile(t *testing.T, sp session.Split) string {
	t.Helper()
	s := session.New(session.Meta{StartSeen: true})
	add := func(e *session.Epoch, nr uint32, at time.Duration) {
		e.Rows = append(e.Rows, session.Row{Group: trace.Main, Call: policy.Call{Nr: nr}, Count: 1, First: at, Last: at})
	}
	for i := range time.Duration(300) {
		e := session.Epoch{Start: i * time.Second / 10, End: (i + 1) * time.Second / 10}
		if i < 20 {
			add(&e, uint32(41+i), e.End) // from socket to shutdown and beyond
		} else {
			add(&e, 0, e.End) // read
		}
		if i == 150 {
			add(&e, 82, e.End) // rename
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMark(session.Mark{At: 1900 * time.Millisecond, Kind: session.MarkListen, Pid: 9, Comm: "web"})
	s.AddSamples([]session.Sample{{At: 15100 * time.Millisecond, Pid: 9, Tid: 9, Group: trace.Main, Call: policy.Call{Nr: 82}, Comm: "we\x1b[2Jb"}})
	s.AddSplit(sp)
	path := filepath.Join(t.TempDir(), "late.speaker")
	if err := session.Save(path, s); err != nil {
		t.Fatal(err)
	}
	return path
}

// A split is shown with what it costs, what came late in run, by whom, and how far
// the learning has come.
func TestShowTellsWhatTheSplitMeans(t *testing.T) {
	path := lateFile(t, session.Split{At: 2500 * time.Millisecond, By: "user"})
	out, _ := said(t, 0, "show", path)
	for _, line := range []string{
		"\ncost      run may call 6: exit, exit_group, read, rename, restart_syscall,\n          rt_sigreturn\n",
		"\n          6 at 2.1s (new read)\n          5 at 15.1s (new rename), without: rename\n",
		"\nnew       in run: rename at 15.10 s, by we?[2Jb (pid 9)\n",
		"\nlearning  2 calls in 28s of run, 1 of them on one occasion, 0 on two\n",
		"next new call in about 28 s\n",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("it lacks %q:\n%s", line, out)
		}
	}
	out, _ = said(t, 0, "show", "--json", path)
	var x struct {
		Run *runFacts
	}
	if err := json.Unmarshal([]byte(out), &x); err != nil || x.Run == nil {
		t.Fatal(err, out)
	}
	r := x.Run
	if len(r.Allowed) != 6 || r.Before == nil || r.After == nil || r.After.Fewer[0] != "rename" || r.After.More == nil ||
		len(r.Late) != 1 || r.Late[0].Call != "rename" || r.Late[0].Pid != 9 || r.Late[0].AtSecs != 15.1 ||
		r.Learning.Known != 2 || r.Learning.Once != 1 || len(r.Curve) != 2 {
		t.Errorf("%+v", r)
	}
}

// A rule cuts a saved session for one command, and the file stays as it is.
func TestSplitByRule(t *testing.T) {
	path := lateFile(t, session.Split{At: 2 * time.Second, By: "user"})
	out, _ := said(t, 0, "show", "--split", "1s after listen web", path)
	if !strings.Contains(out, "split     at 2.9s, pinned to 1s after listen web: web (pid 9) listen at 1.90 s (user)") {
		t.Error(out)
	}
	if out, _ = said(t, 0, "show", path); !strings.Contains(out, "split     at 2s, ") {
		t.Error("the file has changed:", out)
	}
	if out, _ = said(t, 0, "export", "--format", "text", "--phase", "run", "--split", "call rename", path); strings.Contains(out, "rename") {
		t.Error("run after the last rename has it:", out)
	}
	for _, c := range []string{"show", "export"} {
		if _, errs := said(t, 1, c, "--split", "ready 80", path); !strings.Contains(errs, "--split: pinned: it waits for ready 80\n") {
			t.Errorf("%s: %s", c, errs)
		}
		if _, errs := said(t, 2, c, "--split", "2s later", path); !strings.Contains(errs, `behind 2s comes "after"`) {
			t.Errorf("%s: %s", c, errs)
		}
	}
}

// What a split waits for is told wherever one is asked for.
func TestShowTellsWhatTheSplitWaitsFor(t *testing.T) {
	path := lateFile(t, session.Split{Rule: "ready 80", Waits: true, How: "pinned: it waits for ready 80", By: "user"})
	out, _ := said(t, 0, "show", path)
	if !strings.Contains(out, "split     none: all is taken for boot until there is one\n          pinned: it waits for ready 80\n") {
		t.Error(out)
	}
	out, _ = said(t, 0, "show", "--json", path)
	if !strings.Contains(out, `"split_waits_for": "pinned: it waits for ready 80"`) || !strings.Contains(out, `"run": null`) {
		t.Error(out)
	}
	for _, args := range [][]string{{"export", path}, {"rehearse", path}, {"verify", path}, {"prove", "pid:1", "--session", path}} {
		if _, errs := said(t, 1, args...); !strings.Contains(errs, "the session has no split, so no policy: pinned: it waits for ready 80\n") {
			t.Errorf("%v: %s", args, errs)
		}
	}
}
