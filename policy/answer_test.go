package policy

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// randomAnswers is the default more often than not.
func randomAnswers(r *rand.Rand) Answers {
	random := func() Action {
		return []Action{0, 0, 0, ActKillProcess, ActTrap, ActLog, RefuseWith(unix.Errno(1 + r.IntN(40)))}[r.IntN(7)]
	}
	a := Answers{Denied: random(), Newer: random()}
	here := possible(Native())
	for range r.IntN(4) {
		if x := random(); x != 0 {
			a.Single = append(a.Single, Answer{Call{here[r.IntN(len(here))], r.Uint32N(500)}, x})
		}
	}
	return a
}

// What the edits say becomes of denied calls is what the compiled filters answer,
// those with conditions too, and whoever proves them asks for.
func TestAnswers(t *testing.T) {
	mount, open := call("mount"), call("i386:open")
	edits := []Edit{
		{Op: OpDenied, Phase: Boot, Action: ActKillProcess},
		{Op: OpDenied, Phase: Run, Action: RefuseWith(unix.EACCES)},
		{Op: OpNewer, Phase: Run, Action: RefuseWith(unix.EPERM)},
		{Op: OpAnswer, Call: mount, Phase: Boot, Action: ActLog},
		{Op: OpAnswer, Call: call("bind"), Phase: Run, Action: ActTrap},
		{Op: OpAnswer, Call: call("clone3"), Phase: Run, Action: RefuseWith(unix.ENOSYS)},
		{Op: OpCondition, Call: call("futex"), Phase: Run, When: [][]Condition{{{Op: Equal, Value: 2}}}, From: OriginHand},
		{Op: OpAnswer, Call: call("futex"), Phase: Run, Action: ActKillProcess},
	}
	for n, list := range map[string][]Edit{"with a condition": edits, "without": edits[:6]} {
		p := Derive(server, list)
		for _, tt := range []struct {
			spec Spec
			call Call
			want Action
		}{
			{p.WideSpec(), call("reboot"), ActKillProcess},
			{p.WideSpec(), call("clone3"), RefuseWith(unix.ENOSYS)},
			{p.WideSpec(), mount, ActLog},
			{p.WideSpec(), open, RefuseWith(unix.ENOSYS)},
			{p.NarrowSpec(), call("reboot"), RefuseWith(unix.EACCES)},
			{p.NarrowSpec(), call("clone3"), RefuseWith(unix.ENOSYS)},
			{p.NarrowSpec(), call("openat2"), RefuseWith(unix.EPERM)},
			{p.NarrowSpec(), mount, ActLog},
			{p.NarrowSpec(), call("bind"), ActTrap},
			{p.NarrowSpec(), open, RefuseWith(unix.EPERM)},
			{p.StartSpec(), call("reboot"), ActKillProcess},
			{p.StartSpec(), call("bind"), ActNotify},
		} {
			if got := tt.spec.Want(tt.call); got != tt.want {
				t.Errorf("%s, %s: got %s, want %s", n, tt.call, got, tt.want)
			}
		}
		for _, spec := range []Spec{p.StartSpec(), p.WideSpec(), p.NarrowSpec()} {
			f, err := Compile(spec)
			if err != nil {
				t.Fatal(n, err)
			}
			if v, err := VerifySpec(f.Insns, spec); err != nil || !v.OK() {
				t.Errorf("%s: %v, %v", n, v.Differ, err)
			}
			r, err := spec.Rules()
			if err != nil {
				t.Fatal(n, err)
			}
			if v, err := Verify(f.Insns, r); err != nil || !v.OK() {
				t.Errorf("%s, as rules: %v, %v", n, v.Differ, err)
			}
		}
	}
	p := Derive(server, edits)
	if got, want := p.Answers(Run).String(), "EACCES, newer EPERM, 4 calls otherwise"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	back := Derive(server, append(edits, Edit{Op: OpDenied, Phase: Run}, Edit{Op: OpAnswer, Call: mount, Phase: Boot}))
	if got := back.NarrowSpec().Want(call("reboot")); got != ActKillProcess {
		t.Errorf("taken back, run gives what boot gives: got %s", got)
	}
	if got := back.WideSpec().Want(mount); got != ActKillProcess {
		t.Errorf("taken back, mount gets %s", got)
	}
}

func TestAnswersAreChecked(t *testing.T) {
	for _, a := range []Action{ActAllow, ActNotify, ActTrace, ActErrno, ActErrno | 4096, ActKillProcess | 1, 0x12345} {
		if CheckAnswer(a) == nil {
			t.Errorf("%s is taken", a)
		}
		e := Edit{Op: OpDenied, Phase: Run, Action: a}
		if e.Check() == nil {
			t.Errorf("an edit to %s is taken", a)
		}
		if _, err := Compile(Spec{Allow: set("read"), Answers: Answers{Newer: a}}); err == nil {
			t.Errorf("a filter with %s is compiled", a)
		}
	}
	if err := (Edit{Op: OpNewer, Phase: Stop, Action: ActLog}).Check(); err == nil {
		t.Error("stop has no filter, and no answers")
	}
}

// A choice that does more than refuse is warned of, and one that refuses nothing
// keeps a hold from being made of it.
func TestAnswersAreWarnedOf(t *testing.T) {
	find := func(edits ...Edit) (out []Warning) {
		for _, w := range Derive(server, edits).Warnings() {
			if strings.Contains(w.Text, "does not allow") {
				out = append(out, w)
			}
		}
		return out
	}
	if got := find(); got != nil {
		t.Errorf("unasked: %v", got)
	}
	got := find(Edit{Op: OpDenied, Phase: Boot, Action: ActKillProcess})
	if len(got) != 1 || got[0].BlockHold || !strings.HasPrefix(got[0].Text, "boot and run kills the process") {
		t.Errorf("got %+v", got)
	}
	got = find(Edit{Op: OpAnswer, Call: call("bind"), Phase: Run, Action: ActLog})
	if len(got) != 1 || !got[0].BlockHold || len(got[0].Calls) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestParseAction(t *testing.T) {
	for _, a := range []Action{ActAllow, ActNotify, ActLog, ActTrap, ActKillThread, ActKillProcess, ActTrace, RefuseWith(1), RefuseWith(3000)} {
		if got, err := ParseAction(a.String()); err != nil || got != a {
			t.Errorf("%s comes back as %s, %v", a, got, err)
		}
	}
	for _, s := range []string{"", "EPERMIT", "errno", "errno -1", "errno 4096", "errno 1 2", "kill"} {
		if a, err := ParseAction(s); err == nil {
			t.Errorf("%q is taken for %s", s, a)
		}
	}
}
