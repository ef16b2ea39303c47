package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
)

// evil is what a container or a file from elsewhere may put into any string.
const evil = "a\x1b[2J\x1b]0;t\x07\u009b31m\x9b\x7f\r\n\tb\u202ec\u2028\u200f\U000e0041\xff"

// fill sets every string of a struct, those of structs inside it as well.
func fill[T any](v T) T {
	var each func(reflect.Value)
	each = func(x reflect.Value) {
		switch x.Kind() {
		case reflect.String:
			x.SetString(evil)
		case reflect.Struct:
			if x.Type() == reflect.TypeFor[time.Time]() {
				return
			}
			for i := range x.NumField() {
				each(x.Field(i))
			}
		case reflect.Slice:
			for i := range x.Len() {
				each(x.Index(i))
			}
		}
	}
	each(reflect.ValueOf(&v).Elem())
	return v
}

// hostileFile is a session all of whose strings are hostile, with or without a
// split, and damaged or not.
func hostileFile(t *testing.T, split bool) string {
	t.Helper()
	s := session.New(fill(session.Meta{}))
	err := s.AddEpoch(session.Epoch{End: time.Second, Rows: []session.Row{
		{Group: trace.Main, Call: policy.Call{Nr: 1}, Count: 3, First: 1, Last: 9},
		{Group: trace.Main, Call: policy.Call{ABI: policy.X86_64, Nr: 999}, Count: 3, First: 1, Last: 9},
	}})
	if err != nil {
		t.Fatal(err)
	}
	mark := fill(session.Mark{})
	s.AddMark(mark)
	for _, kind := range []string{session.MarkGap, session.MarkStop, session.MarkUring, session.MarkRanBefore} {
		mark.Kind = kind
		s.AddMark(mark)
	}
	if split {
		s.AddSplit(fill(session.Split{At: 5, Evidence: make([]session.Evidence, 2)}))
	}
	s.AddTrial(fill(session.Trial{}))
	s.AddSamples([]session.Sample{fill(session.Sample{Call: policy.Call{Nr: 1}})})
	s.SetProcesses([]session.ProcessUse{fill(session.ProcessUse{Call: policy.Call{Nr: 1}, Count: 1})})
	edit := fill(policy.Edit{})
	s.AddEdit(edit)
	// One that stands, so that its note is shown; the call without a name is
	// taken out, as a profile cannot name it.
	edit.Op, edit.Phase, edit.Call = policy.OpDeny, policy.Boot, policy.Call{Nr: 999}
	s.AddEdit(edit)
	edit.Op, edit.Phase, edit.Call = policy.OpAllow, policy.Run, policy.Call{Nr: 1}
	s.AddEdit(edit)
	path := filepath.Join(t.TempDir(), "h.speaker")
	if err := session.Save(path, s); err != nil {
		t.Fatal(err)
	}
	return path
}

// Nothing of a hostile session reaches a terminal as it is.
func TestHostileSession(t *testing.T) {
	with, without := hostileFile(t, true), hostileFile(t, false)
	for name, x := range map[string]struct {
		args   []string
		status int
	}{
		"show":                   {[]string{"show", with}, 0},
		"show without a split":   {[]string{"show", without}, 0},
		"json":                   {[]string{"show", "--json", with}, 0},
		"json without a split":   {[]string{"show", "--json", without}, 0},
		"docker":                 {[]string{"export", with}, 0},
		"docker, run":            {[]string{"export", "--phase", "run", with}, 0},
		"text":                   {[]string{"export", "--format", "text", with}, 0},
		"export without a split": {[]string{"export", without}, 1},
		"a file's name":          {[]string{"show", "no" + evil}, 1},
		"an export's name":       {[]string{"export", "-o", "no" + evil + "/x", with}, 1},
		"a flag":                 {[]string{"--color", evil, "show", with}, 2},
		"a format":               {[]string{"export", "--format", evil, with}, 2},
		"a number":               {[]string{"demo", "--load", evil}, 2},
		"a command":              {[]string{evil}, 2},
		"a target":               {[]string{"record", "pid:" + evil}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if status := run(x.args, &out, &errs); status != x.status {
				t.Errorf("status %d, want %d: %s", status, x.status, errs.String())
			}
			for _, b := range [][]byte{out.Bytes(), errs.Bytes()} {
				if !utf8.Valid(b) {
					t.Errorf("not UTF-8: %q", b)
				}
				for _, r := range string(b) {
					if acts(r) && r != '\n' && r != '\t' {
						t.Fatalf("%U reaches the terminal: %q", r, b)
					}
				}
			}
			if x.status == 0 && out.Len() == 0 {
				t.Error("it says nothing")
			}
		})
	}
}

// What is escaped for the terminal is the same for a program.
func TestJSONKeepsStrings(t *testing.T) {
	var out, errs bytes.Buffer
	if run([]string{"show", "--json", hostileFile(t, true)}, &out, &errs) != 0 {
		t.Fatal(errs.String())
	}
	var got struct{ Meta session.Meta }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := string([]rune(evil)) // bytes that are no UTF-8 are replaced
	if got.Meta.Target.Name != want {
		t.Errorf("the name is %q, want %q", got.Meta.Target.Name, want)
	}
}
