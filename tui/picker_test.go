package tui

import (
	"context"
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

// hanging is a backend one of whose engines does not answer before its time.
type hanging struct {
	*fakeBackend
	asked int
}

func (b *hanging) Targets(ctx context.Context) ([]bench.Item, []string) {
	b.asked++
	if _, hurried := ctx.Deadline(); hurried {
		<-ctx.Done()
		return b.items[:2], []string{"docker does not answer in time"}
	}
	return b.items, nil
}

// What the quick engines have is there at once; the slow ones' comes later, and only
// what they fail at in their own time is told.
func TestSlowEngine(t *testing.T) {
	b := &hanging{fakeBackend: newFakeBackend()}
	d := drive(t, b, Options{})
	if b.asked != 2 || len(d.m.picker.items) != 3 || len(d.m.picker.problems) != 0 || d.m.picker.asking {
		t.Errorf("asked %d times, %d targets, %q", b.asked, len(d.m.picker.items), d.m.picker.problems)
	}
	then := d.m.listedTargets(targets{d.m.picker.turn, false, b.items[:1], []string{"slow"}})
	if then == nil || len(d.m.picker.items) != 1 || len(d.m.picker.problems) != 0 || !d.m.picker.asking {
		t.Errorf("before all have answered: %d targets, %q", len(d.m.picker.items), d.m.picker.problems)
	}
	if d.m.listedTargets(targets{d.m.picker.turn - 1, true, nil, nil}) != nil || len(d.m.picker.items) != 1 {
		t.Error("what an earlier asking brings is shown")
	}
}
