package policy

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
)

// set makes a set of names.
func set(names ...string) Set {
	var calls []Call
	for _, name := range names {
		calls = append(calls, call(name))
	}
	return NewSet(calls...)
}

// call is ParseCall for names that the test knows to be right.
func call(name string) Call {
	c, err := ParseCall(name)
	if err != nil {
		panic(err)
	}
	return c
}

func TestSetOperations(t *testing.T) {
	a, b := set("read", "write", "i386:open"), set("write", "close")
	for _, tt := range []struct {
		name      string
		got, want Set
	}{
		{"union", a.Union(b), set("read", "write", "close", "i386:open")},
		{"minus", a.Minus(b), set("read", "i386:open")},
		{"intersect", a.Intersect(b), set("write")},
		{"with", b.With(call("read"), call("write")), set("read", "write", "close")},
		{"without", a.Without(call("read"), call("close")), set("write", "i386:open")},
		{"of an abi", a.Of(I386), set("i386:open")},
		{"empty union", Set{}.Union(a), a},
		{"empty minus", Set{}.Minus(a), Set{}},
		{"repeated", set("read", "read"), set("read")},
	} {
		if !tt.got.Equal(tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	if !a.Equal(set("i386:open", "write", "read")) {
		t.Errorf("operations changed their receiver to %q", a)
	}
	if Native() == X86_64 && a.String() != "i386:open read write" {
		t.Errorf("string: got %q", a)
	}
}

func TestSetIsAValue(t *testing.T) {
	in := []Call{{X86_64, 3}, {X86_64, 1}, {X86_64, 2}}
	s := NewSet(in...)
	if in[0].Nr != 3 {
		t.Error("NewSet sorted its argument")
	}
	in[1].Nr = 9
	s.Calls()[0].Nr = 9
	if !s.Equal(NewSet(Call{X86_64, 1}, Call{X86_64, 2}, Call{X86_64, 3})) {
		t.Errorf("the set changed with a slice outside: %q", s)
	}
}

// model is the obvious set, to hold the real one against.
type model map[Call]bool

func randomSet(r *rand.Rand) (Set, model) {
	m := model{}
	for range r.IntN(40) {
		m[Call{ABI(r.IntN(int(abis))), r.Uint32N(30)}] = true
	}
	var calls []Call
	for c := range m {
		calls = append(calls, c, c)
	}
	return NewSet(calls...), m
}

func TestSetAgreesWithModel(t *testing.T) {
	check := func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, 0))
		a, ma := randomSet(r)
		b, mb := randomSet(r)
		for abi := range abis {
			for nr := range uint32(30) {
				c := Call{abi, nr}
				ok := a.Has(c) == ma[c] &&
					a.Union(b).Has(c) == (ma[c] || mb[c]) &&
					a.Minus(b).Has(c) == (ma[c] && !mb[c]) &&
					a.Intersect(b).Has(c) == (ma[c] && mb[c])
				if !ok {
					t.Logf("%s in %q, %q", c, a, b)
					return false
				}
			}
		}
		return a.Len() == len(ma) && slices.IsSortedFunc(a.Calls(), Call.Compare)
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}

func TestSetIsWritten(t *testing.T) {
	s := set("read", "i386:open", "#999")
	spec := Spec{Allow: s, Answers: Answers{Denied: RefuseWith(1)}}
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var got Spec
	if err := json.Unmarshal(raw, &got); err != nil || !got.Allow.Equal(s) || got.Notify.Len() != 0 {
		t.Errorf("json: got %+v, %v from %s", got, err, raw)
	}
	bin, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back Set
	if err := back.UnmarshalBinary(bin); err != nil || !back.Equal(s) {
		t.Errorf("binary: got %q, %v", back, err)
	}
	if err := back.UnmarshalBinary([]byte("read nonsense")); err == nil || !back.Equal(s) {
		t.Errorf("a bad set was read: %q, %v", back, err)
	}
}
