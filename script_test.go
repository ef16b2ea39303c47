package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"speaker/sample"
)

// The scripts drive the real binary as a user types, and hold what it answers
// to bad input: one clear line, a status that is not 0, nothing half-made.
func TestScripts(t *testing.T) {
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Dir(path)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("DOCKER_HOST", "unix://"+filepath.Join(env.WorkDir, "none.sock"))
			if err := os.WriteFile(filepath.Join(env.WorkDir, "demo.speaker"), sample.Recorded, 0o644); err != nil {
				return err
			}
			return os.Chmod(env.WorkDir, 0o777) // scripts become another user
		},
		Condition: func(cond string) (bool, error) { return cond == "root" && os.Getuid() == 0, nil },
	})
}
