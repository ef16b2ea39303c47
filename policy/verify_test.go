package policy

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A right program is proved, and one wrong bit of it is found.
func TestVerify(t *testing.T) {
	c := Call{Native(), 41}
	r := rulesFrom(t, Rule{c, ActAllow, conditionsFrom(t, "arg0 == 0x2", "arg1 != 0x3")}, Rule{Call{Native(), 0}, ActAllow, nil})
	insns, err := CompileRules(r)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := Verify(insns, r); err != nil || !v.OK() || v.Calls != 4*4099 || v.Cases <= v.Calls {
		t.Errorf("got %+v, %v", v, err)
	}
	wider, err := CompileRules(rulesFrom(t, Rule{c, ActAllow, conditionsFrom(t, "arg0 == 0x2")}, Rule{Call{Native(), 0}, ActAllow, nil}))
	if err != nil {
		t.Fatal(err)
	}
	v, err := Verify(wider, r)
	if err != nil || v.OK() || !strings.Contains(v.Differ[0].String(), "answers allow, should EPERM") {
		t.Errorf("got %+v, %v", v, err)
	}
	if v, err := Verify([]unix.SockFilter{ret(ActAllow)}, r); err != nil || len(v.Differ) != maxMismatches || v.More == 0 {
		t.Errorf("got %+v, %v", v, err)
	}
	if _, err := Verify([]unix.SockFilter{ld(64), retA}, r); err == nil {
		t.Error("no program was verified")
	}
}

func TestVerifySpec(t *testing.T) {
	s := Spec{Allow: set("read", "exit_group"), Notify: set("bind")}
	f, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := VerifySpec(f.Insns, s); err != nil || !v.OK() {
		t.Errorf("got %+v, %v", v, err)
	}
	s.Allow = s.Allow.With(Call{Native(), 1})
	if v, err := VerifySpec(f.Insns, s); err != nil || len(v.Differ) != 2 || v.Differ[0].Call.Name() != (Call{Native(), 1}).Name() {
		t.Errorf("got %+v, %v", v, err)
	}
}
