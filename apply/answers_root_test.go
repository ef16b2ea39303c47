package apply

import (
	"strings"
	"testing"
	"time"

	"speaker/policy"
)

// answering is testPolicy whose denied calls get this.
func answering(a policy.Action) policy.Policy {
	obs := policy.Observed{}
	for _, x := range testPolicy().Entries() {
		for ph, u := range x.Uses {
			obs[ph] = append(obs[ph], u)
		}
	}
	return policy.Derive(obs, []policy.Edit{{Op: policy.OpDenied, Phase: policy.Run, Action: a}})
}

// What a policy has denied calls get is what the kernel does, and the proof tells a
// filter that refuses from one that kills.
func TestInjectThatKills(t *testing.T) {
	s := launch(t)
	if err := s.l.Release(); err != nil {
		t.Fatal(err)
	}
	s.wants("ping", "pong")
	inject := func(p policy.Policy) {
		t.Helper()
		f, err := policy.Compile(p.NarrowSpec())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Inject(within(t), s.pids, f); err != nil {
			t.Fatal(err)
		}
	}
	proved := func(p policy.Policy) bool {
		t.Helper()
		proof, err := Prove(within(t), s.pids, p.NarrowSpec())
		if err != nil {
			t.Fatal(err)
		}
		return proof.OK
	}
	inject(answering(policy.ActLog))
	if s.wants("mkdir", "ok"); !proved(answering(policy.ActLog)) || proved(testPolicy()) {
		t.Error("a filter that only logs is proved as what it is not")
	}
	inject(testPolicy())
	if s.wants("mkdir", "EPERM"); !proved(testPolicy()) || proved(answering(policy.ActKillProcess)) {
		t.Error("a filter that refuses is proved as one that kills")
	}
	inject(answering(policy.ActKillProcess))
	if s.wants("ping", "pong"); !proved(answering(policy.ActKillProcess)) {
		t.Error("the filter that kills is not proved")
	}
	dial(t, s.dir).Write([]byte("mkdir\n"))
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		t.Error("a denied call did not kill the server")
	}
}

// A hold denies by an error what the seal will kill for, and none is made of a policy
// that denies nothing.
func TestHoldOfAnswers(t *testing.T) {
	ownHolds(t)
	s := launch(t)
	p := answering(policy.ActKillProcess)
	h, err := StartHold(within(t), "answers", Waiting{Pid: s.l.Pid, Release: s.l.Release}, p)
	if err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "ok")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "EPERM")
	if _, proof, err := h.Seal(within(t), s.pids); err != nil || !proof.OK {
		t.Fatalf("seal: %v %+v", err, proof.Text)
	}
	s.wants("ping", "pong")
	dial(t, s.dir).Write([]byte("mkdir\n"))
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		t.Error("sealed, a denied call did not kill the server")
	}
	err = Refusal(Preflight(s.pids, answering(policy.ActLog), ModeHold))
	if err == nil || !strings.Contains(err.Error(), "only logs what it does not allow") {
		t.Errorf("a hold that denies nothing is not refused: %v", err)
	}
}
