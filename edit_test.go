package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"speaker/sample"
	"speaker/session"
)

// demoFile is a copy of the recorded demo.
func demoFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "demo.speaker")
	if err := os.WriteFile(path, sample.Recorded, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Edits are added to a file, listed as they are read, undone, and none of them is made
// when one is wrong.
func TestEditCommand(t *testing.T) {
	file := demoFile(t)
	edits := []string{"condition socket in boot: arg0 == AF_UNIX || arg0 == AF_INET && arg1 & 0xf == SOCK_STREAM",
		"answer-denied in run: kill process", "answer mount in run: EACCES # not here", "allow-family bind in run"}
	said(t, 0, append([]string{"edit", file}, edits...)...)
	list, _ := said(t, 0, "edit", file)
	want := "condition socket in boot: arg0 == 0x1, or arg0 == 0x2 and arg1 & 0xf == 0x1 # hand\nanswer-denied in run: kill process\n" +
		"answer mount in run: EACCES # not here\nallow-family bind in run\n"
	if list != want {
		t.Fatalf("got %q, want %q", list, want)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, errs := said(t, 2, "edit", file, "deny bind in run", "deny bnd in run")
	if !strings.Contains(errs, "edit 2: column 6: ") {
		t.Errorf("it errs with %q", errs)
	}
	said(t, 1, "edit", file, "--undo", "9")
	said(t, 1, "edit", file, "deny bind in run", "--conditions-of", "nosuch")
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Error("a refused edit changed the file", err)
	}
	// The list is what another session is edited by.
	other, from := demoFile(t), filepath.Join(t.TempDir(), "edits")
	if err := os.WriteFile(from, []byte("# of the first\n\n"+list), 0o600); err != nil {
		t.Fatal(err)
	}
	said(t, 0, "edit", other, "--from", from)
	if again, _ := said(t, 0, "edit", other); again != list {
		t.Errorf("replayed: %q", again)
	}
	if out, _ := said(t, 0, "verify", other); strings.Count(out, "proved: all") != 3 {
		t.Errorf("verify says %q", out)
	}
	if out, _ := said(t, 0, "show", other); !strings.Contains(out, "answers   in run: kill process, 1 call otherwise") {
		t.Errorf("show says %q", out)
	}
	if out, _ := said(t, 0, "export", other, "--phase", "run"); !strings.Contains(out, `"defaultAction": "SCMP_ACT_KILL_PROCESS"`) {
		t.Errorf("export says %q", out)
	}
	said(t, 0, "edit", other, "--undo", "3")
	if left, _ := said(t, 0, "edit", other); left != want[:strings.Index(want, "\n")+1] {
		t.Errorf("undone: %q", left)
	}
}

// What a profile asks of arguments becomes conditions on what the session allows.
func TestEditTakesConditionsOver(t *testing.T) {
	file := demoFile(t)
	said(t, 0, "edit", file, "--conditions-of", "policy/export/testdata/docker-latest.json", "--phase", "boot", "--call", "socket,clone")
	list, _ := said(t, 0, "edit", file)
	for _, want := range []string{"condition clone in boot: arg0 & 0x7e020000 == 0x0 # imported: of docker-latest.json\n", "condition socket in boot: arg0 < 0x3, or arg0 == 0x7, or "} {
		if !strings.Contains(list, want) {
			t.Errorf("it lists %q, and not %q", list, want)
		}
	}
	if out, _ := said(t, 0, "verify", file); strings.Count(out, "proved: all") != 3 {
		t.Errorf("verify says %q", out)
	}
	s, _, err := session.Open(file)
	if err != nil || len(s.Edits()) != 2 {
		t.Fatal(s.Edits(), err)
	}
	said(t, 2, "edit", file, "--call", "socket")
	said(t, 2, "edit", file, "--conditions-of", "x", "--phase", "stop")
}

// An export gives denied calls what the command says, and leaves the file as it is.
func TestExportDefaultAction(t *testing.T) {
	file := demoFile(t)
	out, _ := said(t, 0, "export", file, "--format", "text", "--default-action", "EACCES", "--newer-action", "kill")
	if !strings.Contains(out, "@default: EACCES\n@newer: kill process\n") {
		t.Errorf("it writes %q", out)
	}
	if _, errs := said(t, 2, "export", file, "--default-action", "allow"); !strings.Contains(errs, "--default-action: ") {
		t.Errorf("it errs with %q", errs)
	}
	if list, _ := said(t, 0, "edit", file); list != "" {
		t.Errorf("the file has %q", list)
	}
}

// What is not allowed and only logged is told apart from what is denied.
func TestRehearseAnswers(t *testing.T) {
	file := reloadedFile(t)
	said(t, 0, "edit", file, "leave-out admin", "answer-denied in run: kill process")
	if out, _ := said(t, 1, "rehearse", file); !strings.Contains(out, "denied    rename in admin: 1 times, 5s to 5s; it kills its process") {
		t.Errorf("it says %q", out)
	}
	said(t, 0, "edit", file, "answer-denied in run: log")
	if out, _ := said(t, 0, "rehearse", file); !strings.Contains(out, "logged    rename in admin: 1 times, 5s to 5s; it goes through and is logged") || !strings.Contains(out, "nothing would have been denied") {
		t.Errorf("it says %q", out)
	}
}
