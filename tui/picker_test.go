package tui

import (
	"strings"
	"testing"
	"time"

	"speaker/trace/target"
	"speaker/tui/bench"
)

func TestDetail(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	long := strings.Repeat("0a", 32)
	for _, x := range []struct {
		name string
		item bench.Item
		head string
		fact string
	}{
		{"a pod's", bench.Item{Ref: "cri:0a0a0a0a0a0a", ID: long, Namespace: "prod", Pid: 7, Created: at.Add(-3 * time.Hour),
			Facts: &target.Facts{Processes: 1, CgroupVersion: 1, NoNewPrivs: true}},
			"cri:0a0a0a0a0a0a  namespace prod  id 0a0a0a0a0a0a  pid 7  made 3h ago",
			"seccomp none  no_new_privs yes  1 process  cgroup v1  caps none"},
		{"stopped", bench.Item{Ref: "docker:web", Engine: "docker"}, "docker:web", "not running: what confines it shows once it runs"},
		{"not told", bench.Item{Ref: "demo", Engine: "demo"}, "demo", "what confines it shows once it is watched"},
		{"from the future", bench.Item{Ref: "x", Created: at.Add(time.Hour), Pid: 1}, "x  pid 1", "what confines it shows once it is watched"},
	} {
		if head, fact := detailHead(x.item, at), detailFacts(x.item); head != x.head || fact != x.fact {
			t.Errorf("%s: got %q, %q", x.name, head, fact)
		}
	}
	for want, d := range map[string]time.Duration{"5s": 5 * time.Second, "12m": 12*time.Minute + 1, "47h": 47 * time.Hour, "2d": 49 * time.Hour} {
		if got := age(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
