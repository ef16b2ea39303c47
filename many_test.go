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

// runFile is a recording of two seconds with a split after the first: the calls
// given are in boot or in run.
func runFile(t *testing.T, name string, boot, run []uint32) string {
	t.Helper()
	s := session.New(session.Meta{Target: session.Target{Engine: "docker", Name: name + "\x1b[2J", Image: "web"}, Host: name,
		Start: time.Unix(int64(name[0]), 0), StartSeen: true})
	for second, calls := range [][]uint32{boot, run} {
		at := time.Duration(second) * time.Second
		var rows []session.Row
		for i, nr := range calls {
			rows = append(rows, session.Row{Group: trace.Main, Call: policy.Call{Nr: nr}, Count: uint64(i + 1), First: at + 1, Last: at + time.Second/2})
		}
		if err := s.AddEpoch(session.Epoch{Start: at, End: at + time.Second, Rows: rows}); err != nil {
			t.Fatal(err)
		}
	}
	s.AddSplit(session.Split{At: time.Second, How: "set by hand", By: "user"})
	path := filepath.Join(t.TempDir(), name+".speaker")
	if err := session.Save(path, s); err != nil {
		t.Fatal(err)
	}
	return path
}

// A merged session is told with how many recordings saw a call, for people and
// for programs, and nothing of a recording reaches the terminal as it is.
func TestMergeAndShow(t *testing.T) {
	a := runFile(t, "a", []uint32{0, 49}, []uint32{1})
	b := runFile(t, "b", []uint32{0}, []uint32{1, 49})
	m := filepath.Join(t.TempDir(), "m.speaker")
	out, _ := said(t, 0, "merge", b, a, "-o", m)
	if !strings.Contains(out, "a?[2J") || strings.Contains(out, "\x1b") {
		t.Errorf("merge says %q", out)
	}
	out, _ = said(t, 0, "show", m)
	for _, want := range []string{"observed boot 2 of 2\n", "observed boot 1 of 2, observed run 1 of 2\n", "split     each of 2 recordings at its own split", "\n1    a?[2J "} {
		if !strings.Contains(out, want) || strings.Contains(out, "\x1b") {
			t.Errorf("show does not say %q:\n%s", want, out)
		}
	}
	text, _ := said(t, 0, "show", "--json", m)
	var x struct {
		Runs []struct {
			Name  string
			Split session.Split
			Notes []string
		}
		Calls []struct {
			Call string
			Seen []struct {
				Phase  string
				Count  uint64
				Runs   int
				OfRuns int `json:"of_runs"`
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &x); err != nil {
		t.Fatal(err)
	}
	if len(x.Runs) != 2 || x.Runs[0].Name != "a.speaker" || x.Runs[0].Split.At != time.Second || x.Runs[0].Notes == nil {
		t.Errorf("runs: %+v", x.Runs)
	}
	for _, c := range x.Calls {
		if c.Call == "bind" && (len(c.Seen) != 2 || c.Seen[1].Phase != "run" || c.Seen[1].Runs != 1 || c.Seen[1].OfRuns != 2 || c.Seen[1].Count != 2) {
			t.Errorf("bind: %+v", c)
		}
	}
}

func TestMergeWithoutASplitSaysWhatToDo(t *testing.T) {
	out := filepath.Join(t.TempDir(), "m.speaker")
	_, errs := said(t, 1, "merge", plainFile(t, false), "-o", out)
	if !strings.Contains(errs, "speaker: error: merge s.speaker: no split, and none can be proposed: ") || !strings.Contains(errs, "\nhint: speaker open it and set one\n") {
		t.Error(errs)
	}
}
