package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An error says what to do: the help of the command at hand, or of the file that
// is in the way, which stays as it is.
func TestErrorsSayWhatToDo(t *testing.T) {
	file := plainFile(t, true)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		status int
		want   string
		args   []string
	}{
		{2, "\nhint: speaker show --help\n", []string{"show"}},
		{2, "\nhint: speaker export --help\n", []string{"export", "--nosuch", file}},
		{2, "\nhint: speaker --help\n", []string{"nosuch"}},
		{1, "\nhint: nothing is overwritten: ", []string{"export", file, "-o", file}},
		{1, "\nhint: nothing is overwritten: ", []string{"merge", file, "-o", file}},
		{1, "\nhint: nothing is overwritten: ", []string{"report", file, "--format", "md", "-o", file}},
		{2, `--caps "SYS_ADMN"`, []string{"verify", file, "--caps", "SYS_ADMN"}},
		{2, `--kernel "six"`, []string{"verify", file, "--kernel", "six"}},
		{2, `--caps "SYS_ADMN"`, []string{"rehearse", file, "--profile", file, "--caps", "SYS_ADMN"}},
		{2, `--kernel "six"`, []string{"prove", "nosuch", "--profile", file, "--kernel", "six"}},
		{2, `--caps "SYS_ADMN"`, []string{"inspect", "nosuch", "--caps", "SYS_ADMN"}},
	} {
		if _, errs := said(t, x.status, x.args...); !strings.Contains(errs, x.want) {
			t.Errorf("%v: %s", x.args, errs)
		}
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != string(before) {
		t.Error("the file is no longer what it was", err)
	}
}

// Capabilities go by every spelling that is in use.
func TestCapabilitiesBySpelling(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "p.json")
	text := `{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}}]}`
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for caps, want := range map[string]string{"": ": 0 calls allowed", "sys_admin": ": 1 calls allowed", "CAP_SYS_ADMIN,chown": ": 1 calls allowed"} {
		if out, _ := said(t, 0, "verify", profile, "--caps", caps); !strings.Contains(out, want) {
			t.Errorf("%q: %s", caps, out)
		}
	}
}

// What is proved of a damaged session's policy is no more than what is left of it.
func TestVerifyTellsOfDamage(t *testing.T) {
	file := plainFile(t, true)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := said(t, 0, "verify", file); !strings.Contains(errs, "note: this session is damaged: ") {
		t.Error(errs)
	}
	// But what was asked for wrongly is told alone.
	for _, args := range [][]string{{"export", file, "--split", "2s later"}, {"export", file, "--include", "boot"},
		{"rehearse", file, "--include", "boot"}, {"rehearse", file, "--phase", "run"}} {
		if _, errs := said(t, 2, args...); strings.Contains(errs, "note:") {
			t.Errorf("%v: %s", args, errs)
		}
	}
}
