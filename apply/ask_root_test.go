package apply

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/keeper"
	"speaker/policy"
)

// asked waits for a question in which so many threads wait.
func asked(t *testing.T, h *Hold, threads int) (q Question) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%+v", status(t, h).Asked)
		}
	}()
	eventually(t, "a question", func() bool {
		list := status(t, h).Asked
		if len(list) == 1 {
			q = list[0]
		}
		return len(list) == 1 && q.Waiting == threads
	})
	return q
}

// later asks the server for a mkdir, of which the answer comes when it comes.
func (s *server) later() chan string {
	got := make(chan string, 1)
	go func() { got <- ask(s.t, s.dir, "mkdir") }()
	return got
}

func TestAsk(t *testing.T) {
	s, h := held(t, "ask")
	s.wants("mkdir", "ok")
	if err := h.AskFor(0, Asking{}); err != nil {
		t.Fatal(err)
	}
	stop := s.load()
	for _, x := range []struct {
		verdict Verdict
		errno   int32
		want    string
	}{{AllowOnce, 0, "ok"}, {DenyOnce, 0, "EPERM"}, {DenyOnce, int32(unix.ENOSYS), "ENOSYS"}, {AllowOnce, 0, "ok"}} {
		got := s.later()
		q := asked(t, h, 1)
		if q.Call.String() != "mkdirat" || q.Pid != s.l.Pid || q.Count != 1 || q.Image == "" || q.Lapsed {
			t.Errorf("%+v", q)
		}
		eventually(t, "the path", func() bool { return strings.HasSuffix(asked(t, h, 1).Text, "/made") })
		if err := h.Answer(q.ID, x.verdict, x.errno); err != nil {
			t.Fatal(err)
		}
		if a := <-got; a != x.want {
			t.Errorf("%s: %s, want %s", x.verdict, a, x.want)
		}
		if err := h.Answer(q.ID, x.verdict, 0); !errors.Is(err, ErrNoQuestion) {
			t.Errorf("answered again: %v", err)
		}
	}
	// From now on: no question any more, and no seal, which could not keep it.
	got := s.later()
	if err := h.Answer(asked(t, h, 1).ID, AllowGood, 0); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a != "ok" {
		t.Error(a)
	}
	s.wants("mkdir", "ok")
	t.Logf("%d requests answered", stop())
	if _, _, err := h.Seal(within(t), s.pids); err == nil || !strings.Contains(err.Error(), "mkdirat is allowed in all processes by hand") {
		t.Errorf("seal: %v", err)
	}
	if st := status(t, h); st.Mode != keeper.Ask {
		t.Errorf("%+v", st)
	}
}

// A flood is one question, an answer for good is for all of it, and what is decided
// for the whole hold answers what waits.
func TestAskFolds(t *testing.T) {
	for what, x := range map[string]struct {
		decide func(*Hold, int) error
		want   string
	}{
		"never": {func(h *Hold, id int) error { return h.Answer(id, DenyGood, 0) }, "EPERM"},
		"deny":  {func(h *Hold, _ int) error { return h.Deny() }, "EPERM"},
		"allow": {func(h *Hold, _ int) error { return h.Allow() }, "ok"},
		"undo":  {func(h *Hold, _ int) error { return h.AskFor(short, Asking{}) }, "ok"},
	} {
		t.Run(what, func(t *testing.T) {
			s, h := held(t, "flood")
			s.wants("ping", "pong")
			if err := h.AskFor(0, Asking{}); err != nil {
				t.Fatal(err)
			}
			var got []chan string
			for range 5 {
				got = append(got, s.later())
				asked(t, h, len(got)) // a mkdir at a time: they make the same directory
			}
			if err := x.decide(h, asked(t, h, 5).ID); err != nil {
				t.Fatal(err)
			}
			answers := map[string]int{}
			for _, c := range got {
				answers[<-c]++
			}
			if answers[x.want] == 0 || x.want != "ok" && answers[x.want] != 5 {
				t.Errorf("%v", answers)
			}
			if q := status(t, h).Asked; len(q) != 0 {
				t.Errorf("left: %+v", q)
			}
		})
	}
}

// Nobody answers: it is denied in time, or allowed, what follows does not wait, and
// whoever comes later still finds the question.
func TestAskLapses(t *testing.T) {
	for want, allow := range map[string]bool{"EPERM": false, "ok": true} {
		t.Run(want, func(t *testing.T) {
			s, h := held(t, "nobody")
			s.wants("ping", "pong")
			if err := h.AskFor(0, Asking{Limit: 2 * MaxWithin}); err == nil {
				t.Error("a thread may wait for days")
			}
			if err := h.AskFor(0, Asking{Limit: time.Second, Allow: allow}); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			got := s.later()
			asked(t, h, 1)
			if a := <-got; a != want || time.Since(begin) < time.Second {
				t.Errorf("%s after %s", a, time.Since(begin))
			}
			s.wants("mkdir", want)
			again, err := Attach("nobody")
			if err != nil {
				t.Fatal(err)
			}
			q := asked(t, again, 0)
			if !q.Lapsed || q.Allowed != allow || q.Count != 2 {
				t.Errorf("%+v", q)
			}
			if err := again.Answer(q.ID, DenyGood, int32(unix.ENOSYS)); err != nil {
				t.Fatal(err)
			}
			s.wants("mkdir", "ENOSYS")
		})
	}
}

// Killed with a question open, a keeper leaves the thread with ENOSYS, not waiting.
func TestAskKilled(t *testing.T) {
	s, h := held(t, "bereft")
	s.wants("ping", "pong")
	if err := h.AskFor(0, Asking{}); err != nil {
		t.Fatal(err)
	}
	got := s.later()
	asked(t, h, 1)
	_ = unix.Kill(status(t, h).Keeper, unix.SIGKILL)
	if a := <-got; a != "ENOSYS" {
		t.Error(a)
	}
	s.wants("ping", "pong")
}

// Who asked and was killed leaves no question.
func TestAskerKilled(t *testing.T) {
	s, h := heldGroup(t, "gone")
	if err := h.AskFor(0, Asking{}); err != nil {
		t.Fatal(err)
	}
	s.tell("child")
	q := asked(t, h, 1)
	if q.Pid == s.l.Pid {
		t.Fatalf("%+v", q)
	}
	if err := h.Guard(false); err != nil {
		t.Fatal(err)
	}
	_ = unix.Kill(q.Pid, unix.SIGKILL)
	eventually(t, "the question to go", func() bool { return len(status(t, h).Asked) == 0 })
}

// One call, in one process or in all, whatever the mode.
func TestRules(t *testing.T) {
	s, h := heldGroup(t, "rules")
	mkdirat := policy.Call{ABI: policy.X86_64, Nr: unix.SYS_MKDIRAT}
	do := func(r Rule, forget bool, server, child string) {
		t.Helper()
		if err := h.Rule(r, forget); err != nil {
			t.Fatal(err)
		}
		s.wants("mkdir", server)
		s.wants("child", child)
	}
	const dies = "exit status 3"
	if err := h.Guard(false); err != nil {
		t.Fatal(err)
	}
	do(Rule{Call: mkdirat, Pid: s.l.Pid}, false, "EPERM", "ok")
	do(Rule{Call: mkdirat, Errno: int32(unix.ENOSYS)}, false, "EPERM", dies)
	do(Rule{Call: mkdirat, Pid: s.l.Pid}, true, "ENOSYS", dies)
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	do(Rule{Call: mkdirat, Pid: s.l.Pid, Allow: true}, false, "ok", dies)
	do(Rule{Call: mkdirat, Allow: true}, false, "ok", "ok")
	if err := h.Rule(Rule{Call: mkdirat}, false); err != nil {
		t.Fatal(err)
	}
	if err := h.Allow(); err != nil { // takes back what is denied
		t.Fatal(err)
	}
	s.wants("child", "ok")
	if st := status(t, h); len(st.Rules) != 1 || st.Mode != keeper.Allow {
		t.Errorf("%+v", st)
	}
	if err := h.Rule(Rule{Call: mkdirat, Pid: 1 << 30}, false); err == nil {
		t.Error("a rule for nobody")
	}
}
