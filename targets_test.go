package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"speaker/trace/target"
	"speaker/tui/bench"
)

var listed = []bench.Item{
	{Ref: "docker:web", Engine: "docker", ID: strings.Repeat("0a", 32), Name: "web", Image: "nginx:1", Command: "nginx", State: "running", Pid: 7,
		Cgroup: "/sys/fs/cgroup/x", Created: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), CanBoot: true,
		Facts: &target.Facts{Processes: 3, CgroupVersion: 2, Seccomp: 2, Filters: 1, CapEff: 0xa80425fb, LastCap: 40}},
	{Ref: "podman:\u009b2J", Engine: "podman", Name: "\x1b]0;x\x07\u009b2J\u202e", State: "exited"},
}

func TestListTargets(t *testing.T) {
	var b bytes.Buffer
	if err := listTargets(&b, listed, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if got := strings.Join(strings.Fields(lines[1]), " "); got != "docker docker:web running 3h 3 v2 1 filter no default 14 web nginx:1 nginx" {
		t.Errorf("got %q", got)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\u009b\u202e") {
		t.Errorf("a terminal would act on %q", b.String())
	}
}

// The JSON says what the list says, comes back as it was, and does nothing to a
// terminal.
func TestTargetsJSON(t *testing.T) {
	var b bytes.Buffer
	if err := targetsJSON(&b, listed, []string{"a problem"}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\u009b\u202e") {
		t.Errorf("a terminal would act on %q", b.String())
	}
	var got struct {
		Targets []struct {
			Target, Name, State string
			Pid                 int
			CanBoot             bool `json:"can_boot"`
			Facts               *struct {
				Processes    int
				CapEff       string `json:"cap_eff"`
				Capabilities string
			}
		}
		Problems []string
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Targets) != 2 || len(got.Problems) != 1 {
		t.Fatalf("got %+v", got)
	}
	a, z := got.Targets[0], got.Targets[1]
	if a.Target != "docker:web" || a.Pid != 7 || !a.CanBoot || a.Facts == nil || a.Facts.CapEff != "00000000a80425fb" || a.Facts.Capabilities != "default 14" {
		t.Errorf("got %+v", a)
	}
	if z.Name != listed[1].Name || z.Facts != nil {
		t.Errorf("got %+v", z)
	}
}
