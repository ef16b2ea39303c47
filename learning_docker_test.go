package main

import (
	"slices"
	"testing"
	"time"

	"speaker/session"
	"speaker/tui/bench"
)

// What is learned of a real server under an even load: it repeats itself, and no
// more is expected. What then comes once, a child that writes a snapshot, is told
// as late, with who made it, and expected to have company; what has come four
// times no longer is.
func TestLearningOfAServerUnderLoad(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-learning"
	createContainer(t, name, redis)
	w, err := bench.New(bench.Options{NoFile: true, Tool: "speaker test", ByProcess: true}).Watch(soon(t), "docker:"+name, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := acceptWhenReady(w, 0); err != nil {
		t.Fatal(err)
	}
	addr := address(t, name, redis)
	startLoad(t, redis, addr).more(t, 50)
	s := w.Session()
	// The load is new in run, and so is boot's end for it: run begins where it is even.
	from := s.Length()
	learned := func() session.Learning { return s.Learning(session.Split{At: s.Snap(from)}) }
	pass := func(d time.Duration) session.Learning {
		end := s.Length() + d
		eventually(t, "the recording to go on", func() (bool, string) { return s.Length() >= end, s.Length().String() })
		return learned()
	}
	even := pass(12 * time.Second)
	if !even.Enough || even.Known < 5 || even.Low > 3 {
		t.Errorf("under an even load: %+v", even)
	}
	snapshot := func() {
		c := &wire{addr: addr}
		defer c.close()
		if got, err := redisCall(c, "BGSAVE"); err != nil || got != "+Background saving started" {
			t.Fatalf("BGSAVE answered %q, %v", got, err)
		}
	}
	snapshot()
	once := pass(3 * time.Second)
	late := s.Late(session.Split{At: s.Snap(from)})
	i := slices.IndexFunc(late, func(x session.Late) bool { return x.Call.Name() == "rename" })
	if i < 0 || late[i].Comm == "" || late[i].At < from {
		t.Errorf("a snapshot renames a file, and late are %v", late)
	}
	if once.Known < even.Known+5 || once.Once < even.Once+5 || once.Unseen <= even.Unseen+2 || once.AtLeast || once.Next > 5*time.Second {
		t.Errorf("with one snapshot %+v, before %+v", once, even)
	}
	for range 3 {
		snapshot()
		pass(4 * time.Second)
	}
	often := learned()
	if often.Once > once.Once-5 || often.Unseen >= once.Unseen/2 || often.Next < 2*once.Next {
		t.Errorf("with four snapshots %+v, with one %+v", often, once)
	}
	t.Logf("even: %v; one snapshot: %v; four: %v; late: %v", even, once, often, late)
}
