package policy

import (
	"fmt"
	"os"
	"testing"
)

// askDir holds the program built by askProgram.
var askDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "speaker-policy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	askDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}
