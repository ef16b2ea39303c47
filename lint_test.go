package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Outside a git checkout lint knows no files. It must say so and not wait for
// them on its standard input.
func TestLintOutsideGit(t *testing.T) {
	text, err := os.ReadFile(".ci/lint")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), ".ci", "lint")
	if err := os.Mkdir(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, text, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(soon(t), "bash", script)
	in, err := cmd.StdinPipe() // stays open, as a terminal does
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no git checkout") {
		t.Errorf("%v: %s", err, out)
	}
}
