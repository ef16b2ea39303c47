package main

import (
	"os"
	"testing"
)

// The test binary is every process of the play: what speaker starts by itself,
// and the workbenches that tests kill.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if part, ok := parts[os.Args[1]]; ok {
			os.Exit(part(os.Args[2:]))
		}
		if play, ok := plays[os.Args[1]]; ok {
			os.Exit(play(os.Args[2:]))
		}
	}
	status := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(status)
}
