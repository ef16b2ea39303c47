package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
)

// said runs a command in this process.
func said(t *testing.T, want int, args ...string) (out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	if status := run(args, &o, &e); status != want {
		t.Fatalf("%v: status %d, want %d: %s", args, status, want, e.String())
	}
	return o.String(), e.String()
}

// plainFile is a complete recording of ten seconds, in more than one frame.
func plainFile(t *testing.T, split bool) string {
	t.Helper()
	s := session.New(session.Meta{StartSeen: true})
	for i := range time.Duration(100) {
		at := i * time.Second / 10
		row := session.Row{Group: trace.Main, Call: policy.Call{Nr: uint32(i / 10)}, Count: 2, First: at + 1, Last: at + 2}
		if err := s.AddEpoch(session.Epoch{Start: at, End: at + time.Second/10, Rows: []session.Row{row}}); err != nil {
			t.Fatal(err)
		}
	}
	if split {
		s.AddSplit(session.Split{At: 5 * time.Second, How: "set by hand", By: "user"})
	}
	path := filepath.Join(t.TempDir(), "s.speaker")
	if err := session.Save(path, s); err != nil {
		t.Fatal(err)
	}
	return path
}

type shown struct {
	Completeness []string
	Missing      session.Missing
	Split        *session.Split
	Calls        []struct {
		Call string
		Run  *bool
	}
}

func showOf(t *testing.T, path string) (x shown, text string) {
	t.Helper()
	text, _ = said(t, 0, "show", "--json", path)
	if err := json.Unmarshal([]byte(text), &x); err != nil {
		t.Fatal(err)
	}
	return x, text
}

// Without a split nothing is known of running: it is not told as if it were.
func TestShowWithoutASplit(t *testing.T) {
	path := plainFile(t, false)
	out, _ := said(t, 0, "show", path)
	if strings.Contains(out, "while running") || !strings.Contains(out, "split     none") || !regexp.MustCompile(`(?m)^write +yes +\? `).MatchString(out) {
		t.Error(out)
	}
	x, text := showOf(t, path)
	if x.Split != nil || len(x.Calls) == 0 || strings.Contains(text, `"run": true`) || strings.Contains(text, `"run": false`) {
		t.Error(text)
	}
	if x.Completeness == nil || len(x.Completeness) > 0 {
		t.Errorf("completeness is %v", x.Completeness)
	}
	x, _ = showOf(t, plainFile(t, true))
	if x.Split == nil || x.Calls[0].Run == nil {
		t.Errorf("with a split: %+v", x)
	}
}

// One flipped bit is said by everything that reads the file.
func TestDamageIsToldEverywhere(t *testing.T) {
	path := plainFile(t, true)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// In the second frame of epochs: the calls after the fifth second.
	last := bytes.LastIndex(b, []byte("\xf5Spk\x01\x02"))
	b[last+40] ^= 4
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	const says = "this session is damaged: "
	out, _ := said(t, 0, "show", path)
	if !strings.Contains(out, "note      "+says) || !strings.Contains(out, "(calls)") {
		t.Errorf("show: %s", out)
	}
	x, _ := showOf(t, path)
	if len(x.Completeness) == 0 || !strings.HasPrefix(x.Completeness[0], says) || x.Missing.Damage.Places != 1 || x.Missing.Gaps == nil {
		t.Errorf("show --json: %+v", x)
	}
	if _, errs := said(t, 0, "export", path); !strings.Contains(errs, "note: "+says) || !strings.Contains(errs, "may lack calls") {
		t.Errorf("export: %s", errs)
	}
	w, err := (&settings{readOnly: true}).openSaved([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if c := w.Session().Completeness(); len(c) == 0 || !strings.HasPrefix(c[0], says) {
		t.Errorf("open: %q", c)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: errors.New("no space left on device")}
}

// Output that got lost is an error, whoever wrote it.
func TestFullStandardOutput(t *testing.T) {
	path := plainFile(t, true)
	for _, args := range [][]string{{"show", path}, {"show", "--json", path}, {"export", path}, {"--version"}, {"--help"}} {
		var errs bytes.Buffer
		if status := run(args, fullDisk{}, &errs); status != 1 || !strings.Contains(errs.String(), "write standard output: no space left on device\n") ||
			strings.Count(errs.String(), "no space") != 1 {
			t.Errorf("%v: status %d, %q", args, status, errs.String())
		}
	}
}

// Calls with conditions are shown as such, to people and to programs.
func TestShowConditions(t *testing.T) {
	path := plainFile(t, true)
	a, w, _, err := session.OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	a.AddEdit(policy.Edit{Op: policy.OpCondition, Call: policy.Call{Nr: 9}, Phase: policy.Run, From: policy.OriginObserved,
		When: [][]policy.Condition{{{Arg: 2, Op: policy.MaskedEqual, Mask: 4}}}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, _ := said(t, 0, "show", path)
	if ok, _ := regexp.MatchString(`mmap +yes +if .*run only if arg2 & 0x4 == 0x0 \(observed\)`, text); !ok {
		t.Errorf("got %s", text)
	}
	text, _ = said(t, 0, "show", "--json", path)
	var x struct {
		Calls []struct {
			Call       string
			Conditions []struct {
				Phase, From string
				Any         []string
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &x); err != nil {
		t.Fatal(err)
	}
	for _, c := range x.Calls {
		if (c.Call == "mmap") != (len(c.Conditions) == 1) || c.Conditions == nil {
			t.Errorf("%s: %+v", c.Call, c.Conditions)
		}
		if c.Call == "mmap" && (c.Conditions[0].Phase != "run" || c.Conditions[0].From != "observed" || c.Conditions[0].Any[0] != "arg2 & 0x4 == 0x0") {
			t.Errorf("got %+v", c.Conditions[0])
		}
	}
	text, _ = said(t, 0, "verify", path)
	if !strings.Contains(text, "1 under conditions") {
		t.Errorf("got %s", text)
	}
	text, _ = said(t, 0, "rehearse", path)
	if !strings.Contains(text, "unjudged  mmap") {
		t.Errorf("got %s", text)
	}
}
