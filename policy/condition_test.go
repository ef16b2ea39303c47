package policy

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestConditionText(t *testing.T) {
	for _, tt := range []struct {
		text string
		args Args
		want bool
	}{
		{"arg0 == 0x10", Args{16}, true},
		{"arg0 == 0x10", Args{16 | 1<<32}, false},
		{"arg1 != 0x0", Args{0, 1}, true},
		{"arg2 < 0x5", Args{0, 0, 5}, false},
		{"arg3 <= 0x5", Args{0, 0, 0, 5}, true},
		{"arg4 > 0xffffffffffffff00", Args{0, 0, 0, 0, math.MaxUint64}, true},
		{"arg5 >= 0x5", Args{0, 0, 0, 0, 0, 4}, false},
		{"arg0 & 0xf0 == 0x10", Args{0x1f}, true},
		{"arg0 & 0xf0 == 0x10", Args{0x3f}, false},
	} {
		c, err := ParseCondition(tt.text)
		if err != nil || c.String() != tt.text {
			t.Errorf("%s: got %s, %v", tt.text, c, err)
		}
		if c.Holds(tt.args) != tt.want {
			t.Errorf("%s: of %#x got %t", tt.text, tt.args, !tt.want)
		}
	}
	if c, err := ParseCondition("arg0 & 255 == 8"); err != nil || c.String() != "arg0 & 0xff == 0x8" {
		t.Errorf("got %s, %v", c, err)
	}
}

func TestParseConditionRefuses(t *testing.T) {
	for _, text := range []string{"", "arg0", "arg6 == 1", "x0 == 1", "arg0 = 1", "arg0 == -1", "arg0 & 1 == 2", "arg0 & 1", "arg0 < 0",
		"arg0 == 1 == 2", "arg0 & 1 != 1", "arg0 > 0xffffffffffffffff", "arg0 == 18446744073709551616", "arg999 == 1"} {
		if c, err := ParseCondition(text); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %s, %v", text, c, err)
		}
	}
}

// Witness finds an argument when, and only when, there is one. Four bits are few
// enough to try all; the others are pinned to 0.
func TestWitness(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 20_000 {
		when := []Condition{{Arg: 0, Op: Less, Value: 16}}
		for range r.IntN(5) {
			c := Condition{Arg: 0, Op: Compare(r.IntN(int(compares))), Value: r.Uint64N(17)}
			if c.Op == MaskedEqual {
				c.Mask = r.Uint64N(16)
				c.Value &= c.Mask
			}
			when = append(when, c)
		}
		smallest, any := uint64(0), false
		for x := range uint64(16) {
			if allHold(when, Args{x}) {
				smallest, any = x, true
				break
			}
		}
		got, ok := Witness(when)
		if ok != any || ok && got[0] != smallest {
			t.Fatalf("%v: got %d, %t, want %d, %t", when, got[0], ok, smallest, any)
		}
		if ok {
			found++
		}
	}
	if found < 1000 {
		t.Errorf("only %d could hold", found)
	}
}

// The same with whole registers, where a witness can be checked but not searched.
func TestWitnessWide(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		secret := r.Uint64() >> r.IntN(64)
		var when []Condition
		for range r.IntN(6) { // each holds for the secret
			mask := r.Uint64() & r.Uint64()
			when = append(when, []Condition{
				{Op: MaskedEqual, Mask: mask, Value: secret & mask},
				{Op: LessOrEqual, Value: secret | r.Uint64()},
				{Op: GreaterOrEqual, Value: secret & r.Uint64()},
				{Op: NotEqual, Value: secret ^ 1<<r.IntN(64)},
			}[r.IntN(4)])
		}
		got, ok := Witness(when)
		if !ok || !allHold(when, got) || got[0] > secret {
			t.Fatalf("%v: got %#x, %t, want at most %#x", when, got[0], ok, secret)
		}
	}
}

func FuzzParseCondition(f *testing.F) {
	for _, s := range []string{"arg0 == 0x10", "arg5 & 0xff == 1", "arg1 >= 3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCondition(s)
		if err != nil {
			return
		}
		if back, err := ParseCondition(c.String()); err != nil || back != c {
			t.Errorf("%q: %s comes back as %s, %v", s, c, back, err)
		}
	})
}
