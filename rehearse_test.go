package main

import (
	"encoding/json"
	"os"
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
	s.AddSamples([]session.Sample{{At: 5*time.Second + 3, Pid: 7, Group: trace.Main, Call: call(t, "rename"), Comm: "we\x1b[2Jb", Path: "/a", Args: [6]uint64{42}}})
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
		Denied []struct {
			Call, Phase string
			Samples     []struct {
				Comm, Path string
				Args       []string
			}
		}
		Idle []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Denied) != 1 || got.Denied[0].Phase != policy.Admin.String() || got.Idle == nil {
		t.Fatalf("%v: %s", err, out)
	}
	if x := got.Denied[0].Samples; len(x) != 1 || x[0].Comm != "we\x1b[2Jb" || x[0].Path != "/a" || len(x[0].Args) != 6 || x[0].Args[0] != "0x2a" {
		t.Errorf("samples %+v", x)
	}
	if strings.ContainsRune(out, 0x1b) {
		t.Error("an escape reaches the terminal")
	}
	in, _ := said(t, 0, "export", "--format", "text", "--phase", "run", file)
	left, _ := said(t, 0, "export", "--format", "text", "--phase", "run", "--leave-out", "admin", file)
	if !strings.Contains(in, "\nrename ") || strings.Contains(left, "\nrename ") {
		t.Errorf("exported\n%s\nand\n%s", in, left)
	}
	said(t, 2, "rehearse", file, "--leave-out", "boot")
	said(t, 1, "rehearse", plainFile(t, false))
}

// What is administration, and what the detectors think, is there for programs, too.
func TestShowJSONTellsOfReloads(t *testing.T) {
	type intervals []struct {
		From  float64 `json:"from_seconds"`
		To    float64 `json:"to_seconds"`
		How   string
		By    string
		Calls []string
	}
	type told struct {
		Admin struct {
			Included              bool
			Alone                 []string
			Intervals, Recognised intervals
		}
		Detectors []struct {
			Detector string
			Found    bool
			At       *float64 `json:"at_seconds"`
			How      string
			Evidence []session.Evidence
		}
	}
	show := func(file string) (x told) {
		out, _ := said(t, 0, "show", "--json", file)
		if err := json.Unmarshal([]byte(out), &x); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return x
	}
	file := reloadedFile(t)
	x := show(file)
	if a := x.Admin; !a.Included || len(a.Alone) != 1 || a.Alone[0] != "rename" || len(a.Intervals) != 1 || a.Recognised == nil ||
		a.Intervals[0].To < 5.1 || a.Intervals[0].How != "marked\x1b" {
		t.Errorf("admin %+v", a)
	}
	if d := x.Detectors; len(d) != 3 || d[0].Detector != "readiness probe" || d[0].Found || d[0].At != nil || d[0].How == "" || d[0].Evidence == nil {
		t.Errorf("detectors %+v", d)
	}
	s, _, err := session.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	s.UndoEdit()
	s.AddMark(session.Mark{At: 5 * time.Second, Kind: session.MarkReload, Pid: 7, Comm: "web", Text: "SIGHUP from outside (pid 9)"})
	guess := filepath.Join(t.TempDir(), "guess.speaker")
	if err := session.Save(guess, s); err != nil {
		t.Fatal(err)
	}
	if a := show(guess).Admin; len(a.Intervals) != 0 || len(a.Recognised) != 1 || a.Recognised[0].From != 5 || strings.Join(a.Recognised[0].Calls, " ") != "rename" {
		t.Errorf("admin %+v", a)
	}
}

// Any profile is rehearsed against a recording; what depends on arguments that were
// not counted is said to be unsure.
func TestRehearseProfileCommand(t *testing.T) {
	file, dir := reloadedFile(t), t.TempDir()
	profile := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole := filepath.Join(dir, "whole.json")
	said(t, 0, "export", "-o", whole, file)
	left := filepath.Join(dir, "left.json")
	said(t, 0, "export", "--phase", "run", "--leave-out", "admin", "-o", left, file)
	args := profile("args.json", `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
		{"names": ["read"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["rename"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 7, "op": "SCMP_CMP_EQ"}]}]}`)
	for _, x := range []struct {
		status    int
		args      []string
		says, not string
	}{
		{0, []string{whole}, "nothing would have been denied", "denied  "},
		{1, []string{left}, "denied    rename in boot: 1 times", "unsure"},
		{1, []string{left, "--phase", "run"}, "denied    rename in admin: 1 times", "in boot"},
		{0, []string{args}, "unsure    rename in admin, 1 times: it looks at arguments, and no values were counted", "denied  "},
		{0, []string{args, "--json"}, `"phase": "admin"`, "null"},
		{1, []string{left, "--json"}, `"refused_values": []`, "null"},
	} {
		out, _ := said(t, x.status, append([]string{"rehearse", file, "--profile"}, x.args...)...)
		if !strings.Contains(out, x.says) || strings.Contains(out, x.not) {
			t.Errorf("%v: it says\n%s", x.args, out)
		}
	}
	said(t, 2, "rehearse", file, "--phase", "run")
	said(t, 2, "rehearse", file, "--profile", whole, "--phase", "stop")
	said(t, 2, "rehearse", file, "--profile", whole, "--leave-out", "admin")
	said(t, 1, "rehearse", file, "--profile", profile("junk", "{"))
	said(t, 1, "rehearse", file, "--profile", dir)
}
