package policy

import (
	"math/rand/v2"
	"testing"
)

// The rules of a spec answer as the spec, for every number of every ABI.
func TestSpecRules(t *testing.T) {
	for seed := range uint64(20) {
		s := randomSpec(rand.New(rand.NewPCG(seed, 7)))
		r, err := s.Rules()
		if err != nil {
			t.Fatal(err)
		}
		for _, abi := range possible(Native()) {
			for nr := range uint32(maxNr + 2) {
				if c := (Call{abi, nr}); r.Want(c, Args{}) != s.Want(c) {
					t.Fatalf("seed %d, %s: got %s, want %s", seed, c, r.Want(c, Args{}), s.Want(c))
				}
			}
		}
	}
}

// Conditions narrow what a spec allows, and a supervisor may be asked for the rest.
func TestSpecRulesNarrow(t *testing.T) {
	named := func(name string) Call { return Call{Native(), numbers()[Native()][name]} }
	socket, bind, read := named("socket"), named("bind"), named("read")
	two := conditionsFrom(t, "arg0 == 0x2")
	s := Spec{Allow: NewSet(read), Notify: NewSet(bind), When: []Rule{
		{socket, ActAllow, two}, {bind, ActAllow, two},
		{socket, ActNotify, conditionsFrom(t, "arg0 <= 0x10")}, // the first that holds counts
	}}
	r, err := s.Rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		call Call
		arg  uint64
		want string
	}{{socket, 2, "allow"}, {socket, 16, "notify"}, {socket, 17, "EPERM"}, {bind, 2, "allow"}, {bind, 3, "notify"}, {read, 7, "allow"}} {
		if got := s.Answer(tt.call, Args{tt.arg}); got.String() != tt.want || r.Want(tt.call, Args{tt.arg}) != got {
			t.Errorf("%s with %d: got %s, rules %s, want %s", tt.call, tt.arg, got, r.Want(tt.call, Args{tt.arg}), tt.want)
		}
	}
	f, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := VerifySpec(f.Insns, s); err != nil || !v.OK() {
		t.Errorf("got %v, %v", v.Differ, err)
	}
	if v, err := Verify(f.Insns, r); err != nil || !v.OK() {
		t.Errorf("got %v, %v", v.Differ, err)
	}
	if _, err := (Spec{}).Rules(); err == nil {
		t.Error("a spec that allows nothing was taken")
	}
}
