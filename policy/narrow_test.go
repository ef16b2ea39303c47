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

// Conditions narrow what a policy allows, and open nothing.
func TestSpecRulesNarrow(t *testing.T) {
	socket, bind, read := Call{Native(), numbers()[Native()]["socket"]}, Call{Native(), numbers()[Native()]["bind"]}, Call{Native(), numbers()[Native()]["read"]}
	s := Spec{Allow: NewSet(socket, read)}
	r, err := s.Rules(Rule{socket, ActAllow, conditionsFrom(t, "arg0 == 0x2")}, Rule{bind, ActAllow, conditionsFrom(t, "arg0 == 0x2")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		call Call
		arg  uint64
		want string
	}{{socket, 2, "allow"}, {socket, 16, "EPERM"}, {bind, 2, "EPERM"}, {read, 7, "allow"}} {
		if got := r.Want(tt.call, Args{tt.arg}); got.String() != tt.want {
			t.Errorf("%s with %d: got %s, want %s", tt.call, tt.arg, got, tt.want)
		}
	}
	insns, err := CompileRules(r)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := Verify(insns, r); err != nil || !v.OK() {
		t.Errorf("got %v, %v", v.Differ, err)
	}
	if _, err := (Spec{}).Rules(); err == nil {
		t.Error("a spec that allows nothing was taken")
	}
}
