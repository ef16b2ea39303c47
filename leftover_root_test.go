package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"speaker/trace/target"
)

// A demo that lost its speaker goes on, and is listed; once it has ended, the
// next speaker that lists or starts anything removes its cgroup.
func TestLeftover(t *testing.T) {
	needTracer(t)
	removeNew(t)
	before := own(t)
	v := begin(t, speaker(t, "record", "demo", "--session-dir", t.TempDir()))
	v.says(t, "recording")
	own(t)
	v.kill()
	var left target.Target
	for name, c := range own(t) {
		if before[name].CgroupPath == "" {
			left = c
		}
	}
	if left.Pid == 0 {
		t.Fatal("the demo has ended with its speaker")
	}
	output(t, speaker(t, "targets"))
	if err := syscall.Kill(left.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the demo's end", func() (bool, string) { return len(pidsOf(left)) == 0, "" })
	// One that was made just now may be about to be entered.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(left.CgroupPath, old, old); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its cgroup to go with a list", func() (bool, string) {
		output(t, speaker(t, "targets"))
		_, err := os.Stat(left.CgroupPath)
		return os.IsNotExist(err), left.CgroupPath
	})
}
