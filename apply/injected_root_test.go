package apply

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// What was injected is known to a later speaker, until the target is gone.
func TestInjectionIsKept(t *testing.T) {
	ownHolds(t)
	dir, pids := group(t)
	l := run(t, dir, target(t), "pause")
	s, err := SubjectOf(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := FindInjection(s); found || err != nil {
		t.Fatalf("before: %v %v", found, err)
	}
	wide := testPolicy().NarrowSpec()
	getppid := policy.Call{ABI: policy.X86_64, Nr: unix.SYS_GETPPID}
	narrower := policy.Spec{Allow: wide.Allow.Without(getppid)}
	for _, spec := range []policy.Spec{narrower, wide} { // the second does not give back what the first took
		inject(t, s, spec, pids)
		i, found, err := FindInjection(s)
		if err != nil || !found || !i.Whole || !i.Spec.Allow.Equal(narrower.Allow) {
			t.Fatalf("%v %v whole %v, %d calls", found, err, i.Whole, i.Spec.Allow.Len())
		}
		if proof, err := Prove(within(t), pids, i.Spec); err != nil || !proof.OK {
			t.Errorf("%v %v", err, proof.Text)
		}
	}
	_ = unix.Kill(l.Pid, unix.SIGKILL)
	eventually(t, "the target's cgroup to go", func() bool { return os.Remove(dir) == nil })
	if _, found, err := FindInjection(s); found || err != nil {
		t.Errorf("after its end: %v %v", found, err)
	}
	if left, _ := os.ReadDir(injectedDir()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func inject(t *testing.T, s Subject, spec policy.Spec, pids func() ([]int, error)) {
	t.Helper()
	settle, err := ExpectInjection(s, spec, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if i, found, err := FindInjection(s); err != nil || !found || i.Whole {
		t.Errorf("under way: %v %v, whole %v", found, err, i.Whole)
	}
	f, err := policy.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Inject(within(t), pids, f)
	if err != nil {
		t.Fatal(err)
	}
	if err := settle(r, err); err != nil {
		t.Fatal(err)
	}
}

// An injection that did nothing leaves the record as it was; one that did not reach
// all is told as such; and nobody but root reads it.
func TestInjectionUnfinished(t *testing.T) {
	ownHolds(t)
	s := launch(t)
	sub, err := SubjectOf("", s.l.Pid)
	if err != nil {
		t.Fatal(err)
	}
	spec := testPolicy().NarrowSpec()
	settle, err := ExpectInjection(sub, spec, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := settle(Report{}, errors.New("no")); err != nil {
		t.Fatal(err)
	}
	if _, found, err := FindInjection(sub); found || err != nil {
		t.Errorf("nothing was done: %v %v", found, err)
	}
	if settle, err = ExpectInjection(sub, spec, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := settle(Report{Processes: 1}, errors.New("no")); err != nil {
		t.Fatal(err)
	}
	if i, found, err := FindInjection(sub); !found || err != nil || i.Whole {
		t.Errorf("half done: %v %v, whole %v", found, err, i.Whole)
	}
	path := filepath.Join(injectedDir(), sub.file())
	for _, p := range []string{injectedDir(), path} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", p, info.Mode(), err)
		}
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, found, err := FindInjection(sub); found || err == nil {
		t.Error("a damaged record was read")
	}
}

// Rules of a profile are proved at the arguments that they look at.
func TestProveRules(t *testing.T) {
	dir, pids := group(t)
	run(t, dir, target(t), "pause")
	when := func(text string) policy.Rules {
		c := policy.Call{ABI: policy.X86_64, Nr: unix.SYS_SOCKET}
		cond, err := policy.ParseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		spec := testPolicy().NarrowSpec()
		spec.Allow = spec.Allow.Without(c)
		spec.When = []policy.Rule{{Call: c, Action: policy.ActAllow, When: []policy.Condition{cond}}}
		r, err := spec.Rules()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	has := when("arg0 == 0x1")
	insns, err := policy.CompileRules(has)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Inject(within(t), pids, policy.Filter{Insns: insns}); err != nil {
		t.Fatal(err)
	}
	if proof, err := ProveRules(within(t), pids, has); err != nil || !proof.OK || proof.Cases <= len(everyCall()) {
		t.Errorf("%v %v", err, proof.Text)
	}
	proof, err := ProveRules(within(t), pids, when("arg0 == 0x2"))
	if err != nil || proof.OK || len(proof.Differing) != 1 || proof.Differing[0].Threads != 1 || len(proof.Differ) == 0 || proof.Differ[0].Args[0] != 1 {
		t.Errorf("%v %+v", err, proof)
	}
}
