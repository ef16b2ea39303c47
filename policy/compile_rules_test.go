package policy

import (
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// randomRules leans to what is awkward: few calls with many rules, values at the
// borders of halves, masks, ranges and tests of several arguments.
func randomRules(r *rand.Rand) (Rules, error) {
	here := possible(Native())
	for i := len(here) - 1; i > 0; i-- {
		if r.IntN(3) == 0 {
			here = append(here[:i], here[i+1:]...)
		}
	}
	actions := []Action{ActAllow, ActLog, ActKillProcess, ActTrap, ActNotify, RefuseWith(unix.EPERM), RefuseWith(unix.ENOSYS), ActTrace | 5}
	action := func() Action { return actions[r.IntN(len(actions))] }
	out := Outside{Default: action(), Foreign: action()}
	if r.IntN(2) == 0 {
		out.Newer = action()
	}
	value := func() uint64 {
		v := []uint64{0, 1, 8, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 0x1_00000000, 0xffffffff_00000000, ^uint64(0)}[r.IntN(10)]
		if r.IntN(4) == 0 {
			v = r.Uint64() >> r.IntN(64)
		}
		return v
	}
	var rules []Rule
	for range r.IntN(40) {
		rule := Rule{Call: Call{here[r.IntN(len(here))], r.Uint32N(20)}, Action: ActAllow}
		if r.IntN(10) == 0 {
			rule.Call.Nr = r.Uint32N(maxNr + 1)
		}
		if r.IntN(3) == 0 {
			rule.Action = action()
		}
		for range r.IntN(4) {
			c := Condition{Arg: uint8(r.IntN(3)), Op: Compare(r.IntN(int(compares))), Value: value()}
			if c.Op == MaskedEqual {
				c.Mask = value()
				c.Value &= c.Mask
			}
			rule.When = append(rule.When, c)
		}
		if _, err := NewRules(here, out, append(rules, rule)); err == nil {
			rules = append(rules, rule)
		}
	}
	return NewRules(here, out, rules)
}

// checkRules holds the bytecode of rules against them, and against another
// implementation of BPF, for every number below end of every ABI and the arguments
// at which an answer may change.
func checkRules(t *testing.T, r Rules, end uint32) {
	t.Helper()
	insns, err := CompileRules(r)
	if err != nil {
		t.Fatal(err)
	}
	vm := otherVM(t, insns)
	check := func(c Call) {
		t.Helper()
		for _, args := range Edges(r.Of(c)) {
			d := DataOf(c)
			d.Args = args
			got, err := Eval(insns, d)
			if want := r.Want(c, args); err != nil || got != want {
				t.Fatalf("%s%#x: got %s, %v, want %s of %v", c, args, got, err, want, r.Of(c))
			}
			if other := vm(d); other != got {
				t.Fatalf("%s%#x: got %s, x/net/bpf says %s", c, args, got, other)
			}
		}
	}
	for abi := range abis {
		for nr := range end {
			check(Call{abi, nr})
		}
	}
	for _, rule := range r.All() {
		check(rule.Call)
		check(Call{rule.Call.ABI, rule.Call.Nr + 1})
	}
}

func TestRandomRules(t *testing.T) {
	conditions := 0
	for seed := range uint64(60) {
		r, err := randomRules(rand.New(rand.NewPCG(seed, 9)))
		if err != nil {
			t.Fatal(err)
		}
		checkRules(t, r, 30)
		for _, rule := range r.All() {
			conditions += len(rule.When)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if conditions < 300 {
		t.Errorf("only %d conditions", conditions)
	}
}

// FuzzRules compiles random rules, and runs the bytecode at their edges.
func FuzzRules(f *testing.F) {
	for i := range uint64(8) {
		f.Add(i, i*i)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		r, err := randomRules(rand.New(rand.NewPCG(a, b)))
		if err != nil {
			t.Fatal(err)
		}
		checkRules(t, r, 24)
	})
}

func TestNewRules(t *testing.T) {
	read := Call{X86_64, 0}
	when := func(texts ...string) (out []Condition) {
		for _, text := range texts {
			c, err := ParseCondition(text)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, c)
		}
		return out
	}
	outside := Outside{Default: RefuseWith(unix.EPERM), Foreign: ActKillThread}
	for _, tt := range []struct {
		name  string
		rules []Rule
		bad   bool
		kept  int
		over  int
	}{
		{"none", nil, false, 0, 0},
		{"one", []Rule{{read, ActAllow, nil}}, false, 1, 0},
		{"the first that always holds", []Rule{{read, ActAllow, nil}, {read, ActLog, nil}}, false, 1, 1},
		{"what always holds goes first", []Rule{{read, ActLog, when("arg0 == 1")}, {read, ActAllow, nil}}, false, 1, 1},
		{"the default again", []Rule{{read, RefuseWith(unix.EPERM), nil}}, false, 0, 0},
		{"twice the same", []Rule{{read, ActAllow, when("arg0 == 1", "arg1 == 2")}, {read, ActAllow, when("arg1 == 2", "arg0 == 1")}}, false, 1, 0},
		{"apart", []Rule{{read, ActAllow, when("arg0 < 4")}, {read, ActLog, when("arg0 >= 4")}}, false, 2, 0},
		{"apart by a mask", []Rule{{read, ActAllow, when("arg0 & 1 == 1")}, {read, ActLog, when("arg0 == 4")}}, false, 2, 0},
		{"contradiction", []Rule{{read, ActAllow, when("arg0 & 1 == 1")}, {read, ActLog, when("arg0 == 5")}}, true, 0, 0},
		{"other arguments do not part", []Rule{{read, ActAllow, when("arg0 == 1")}, {read, ActLog, when("arg1 == 1")}}, true, 0, 0},
		{"never", []Rule{{read, ActAllow, when("arg0 == 1", "arg0 == 2")}}, true, 0, 0},
		{"another ABI", []Rule{{Call{ARM64, 0}, ActAllow, nil}}, false, 0, 0},
	} {
		r, err := NewRules([]ABI{X86_64}, outside, tt.rules)
		if (err != nil) != tt.bad {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.name == "contradiction" && !errors.Is(err, errContradict) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil && (len(r.All()) != tt.kept || len(r.Overruled()) != tt.over) {
			t.Errorf("%s: kept %v, not %v", tt.name, r.All(), r.Overruled())
		}
	}
}
