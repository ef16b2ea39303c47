package apply

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// socketPolicy is testPolicy with conditions on the domain of sockets in run.
func socketPolicy(t *testing.T, domains ...uint64) policy.Policy {
	t.Helper()
	e := policy.Edit{Op: policy.OpCondition, Call: policy.Call{ABI: policy.X86_64, Nr: unix.SYS_SOCKET}, Phase: policy.Run, From: policy.OriginHand}
	for _, d := range domains {
		e.When = append(e.When, []policy.Condition{{Arg: 0, Value: d}})
	}
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	obs := policy.Observed{}
	for _, x := range testPolicy().Entries() {
		for ph, u := range x.Uses {
			obs[ph] = append(obs[ph], u)
		}
	}
	return policy.Derive(obs, []policy.Edit{e})
}

// A hold lets through what the condition in run allows, asks its keeper for the
// rest, and denies that behind the split; the seal does so for good. Each is
// proved, arguments included.
func TestHoldAndSealConditions(t *testing.T) {
	ownHolds(t)
	s := launch(t)
	p := socketPolicy(t, unix.AF_UNIX, unix.AF_INET)
	h, err := StartHold(within(t), "conditions", Waiting{Pid: s.l.Pid, Release: s.l.Release}, p)
	if err != nil {
		t.Fatal(err)
	}
	s.wants("inet", "ok")
	s.wants("netlink", "ok") // boot's, by the keeper
	if proof, err := Prove(within(t), s.pids, p.StartSpec()); err != nil || !proof.OK {
		t.Errorf("proof of the hold: %v %+v", err, proof)
	}
	if proof, err := Prove(within(t), s.pids, socketPolicy(t, unix.AF_UNIX).StartSpec()); err != nil || proof.OK || len(proof.Differ) == 0 ||
		proof.Differ[0].Args[0] != unix.AF_INET {
		t.Errorf("another condition was proved: %v %+v", err, proof.Differ)
	}
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("inet", "ok")
	s.wants("netlink", "EPERM")
	if err := h.Allow(); err != nil {
		t.Fatal(err)
	}
	s.wants("netlink", "ok")
	st, err := h.Status()
	seen := slices.IndexFunc(st.ByCall, func(c CallCount) bool { return c.What() == "socket with AF_NETLINK" })
	if err != nil || st.Denied != 1 || seen < 0 || st.ByCall[seen].Count < 3 || st.ByCall[seen].Count > 3 && patience() == 1 {
		// Where all is slow the Go runtime's own signals have a call asked once more.
		t.Errorf("the keeper was asked: %v %+v", err, st)
	}
	// It is asked about with its arguments, and what is answered is for them alone.
	if err := h.AskFor(0, Asking{}); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() { got <- ask(t, s.dir, "netlink") }()
	q := asked(t, h, 1)
	if q.What() != "socket with AF_NETLINK" {
		t.Errorf("asked about %s", q)
	}
	if err := h.Answer(q.ID, AllowGood, 0); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a != "ok" {
		t.Errorf("allowed, it is %s", a)
	}
	s.wants("netlink", "ok")
	rules := status(t, h).Rules
	if len(rules) != 1 || rules[0].String() != "socket with AF_NETLINK is allowed in all processes" {
		t.Fatalf("rules: %v", rules)
	}
	if err := h.Rule(Rule{Call: q.Call, Errno: int32(unix.EACCES)}, false); err != nil {
		t.Fatal(err)
	}
	s.wants("netlink", "ok") // what is said of the arguments goes before
	if err := h.Rule(Rule{Call: q.Call}, true); err != nil || len(status(t, h).Rules) != 0 {
		t.Fatalf("forgotten: %v, %v", status(t, h).Rules, err)
	}
	again, err := Attach("conditions")
	if err != nil {
		t.Fatal(err)
	}
	_, proof, err := again.Seal(within(t), s.pids)
	if err != nil || !proof.OK {
		t.Fatalf("seal: %v %+v", err, proof)
	}
	s.wants("inet", "ok")
	s.wants("netlink", "EPERM")
	if proof, err := Prove(within(t), s.pids, socketPolicy(t, unix.AF_INET).NarrowSpec()); err != nil || proof.OK {
		t.Errorf("another condition was proved after the seal: %v %+v", err, proof.Text)
	}
}

// What a filter is taken up by is what it was made of.
func TestPolicyOfConditions(t *testing.T) {
	spec := socketPolicy(t, unix.AF_INET).NarrowSpec()
	got := PolicyOf(spec).NarrowSpec()
	for _, domain := range []uint64{unix.AF_INET, unix.AF_NETLINK} {
		c := spec.When[0].Call
		if got.Answer(c, policy.Args{domain}) != spec.Answer(c, policy.Args{domain}) {
			t.Errorf("domain %d: got %s", domain, got.Answer(c, policy.Args{domain}))
		}
	}
}
