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

// reloadedFile is a recording with a reload that is marked: read all the time,
// rename once in boot and once in the reload.
func reloadedFile(t *testing.T) string {
	t.Helper()
	s := session.New(session.Meta{StartSeen: true})
	for i := range time.Duration(100) {
		at := i * time.Second / 10
		rows := []session.Row{{Group: trace.Main, Call: call(t, "read"), Count: 2, First: at + 1, Last: at + 2}}
		if i == 5 || i == 50 {
			rows = append(rows, session.Row{Group: trace.Main, Call: call(t, "rename"), Count: 1, First: at + 3, Last: at + 3})
		}
		if err := s.AddEpoch(session.Epoch{Start: at, End: at + time.Second/10, Rows: rows}); err != nil {
			t.Fatal(err)
		}
	}
	s.AddSplit(session.Split{At: time.Second, By: "user"})
	s.AddSamples([]session.Sample{{At: 5*time.Second + 3, Pid: 7, Group: trace.Main, Call: call(t, "rename"), Comm: "we\x1b[2Jb", Path: "/a"}})
	a := session.Admin{From: 5 * time.Second, To: 5100 * time.Millisecond, How: "marked\x1b", By: "user"}
	if err := s.ChangeAdmin(session.AdminChange{Op: session.AdminAdd, Admin: a}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "reloaded.speaker")
	if err := session.Save(path, s); err != nil {
		t.Fatal(err)
	}
	return path
}

// Without a screen a reload is seen, left out, and what that breaks is told.
func TestRehearseCommand(t *testing.T) {
	file := reloadedFile(t)
	out, _ := said(t, 0, "show", file)
	for _, want := range []string{"s to 5.1s: marked? (user)", "run allows these for it alone: rename", "observed boot, observed admin"} {
		if !strings.Contains(out, want) {
			t.Errorf("show does not say %q:\n%s", want, out)
		}
	}
	if out, _ := said(t, 0, "rehearse", file); !strings.Contains(out, "nothing would have been denied") {
		t.Errorf("it says %q", out)
	}
	out, errs := said(t, 1, "rehearse", file, "--leave-out", "admin")
	for _, want := range []string{"denied    rename in admin: 1 times, 5s to 5s", "sample at 5s by we?[2Jb (pid 7) /a"} {
		if !strings.Contains(out, want) {
			t.Errorf("rehearse does not say %q:\n%s", want, out)
		}
	}
	if !strings.Contains(errs, "would have denied 1 calls") {
		t.Errorf("it errs with %q", errs)
	}
	out, _ = said(t, 1, "rehearse", "--json", file, "--leave-out", "admin")
	var got struct {
		Denied []struct{ Call, Phase string }
		Idle   []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Denied) != 1 || got.Denied[0].Phase != policy.Admin.String() || got.Idle == nil {
		t.Errorf("%v: %s", err, out)
	}
	in, _ := said(t, 0, "export", "--format", "text", "--phase", "run", file)
	left, _ := said(t, 0, "export", "--format", "text", "--phase", "run", "--leave-out", "admin", file)
	if !strings.Contains(in, "\nrename ") || strings.Contains(left, "\nrename ") {
		t.Errorf("exported\n%s\nand\n%s", in, left)
	}
	said(t, 2, "rehearse", file, "--leave-out", "boot")
	said(t, 1, "rehearse", plainFile(t, false))
}
