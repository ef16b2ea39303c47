package policy

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func rulesFrom(t *testing.T, rules ...Rule) Rules {
	t.Helper()
	r, err := NewRules(possible(Native()), Outside{Default: RefuseWith(unix.EPERM), Foreign: ActKillThread}, rules)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func conditionsFrom(t *testing.T, texts ...string) (out []Condition) {
	t.Helper()
	for _, text := range texts {
		c, err := ParseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// What conditions were compiled to is found in the bytecode again.
func TestRecover(t *testing.T) {
	for _, tt := range []struct {
		when [][]string
		want string
	}{
		{[][]string{{}}, "allow"},
		{[][]string{{"arg0 == 0x8"}}, "allow if arg0 == 0x8; else EPERM"},
		{[][]string{{"arg0 == 0xffffffff00000001"}}, "allow if arg0 == 0xffffffff00000001; else EPERM"},
		{[][]string{{"arg0 == 0x8"}, {"arg0 == 0x20008"}}, "allow if arg0 == 0x8; allow if arg0 == 0x20008; else EPERM"},
		{[][]string{{"arg0 & 0x7e020000 == 0x0"}}, "allow if arg0 & 0x7e020000 == 0x0; else EPERM"},
		{[][]string{{"arg0 != 0x28"}}, "allow if arg0 != 0x28; else EPERM"},
		{[][]string{{"arg0 < 0x28"}}, "allow if arg0 <= 0x27; else EPERM"},
		{[][]string{{"arg0 > 0x100000028"}}, "allow if arg0 >= 0x100000029; else EPERM"},
		{[][]string{{"arg0 == 0x10", "arg2 == 0x9"}}, "allow if arg0 == 0x10 and arg2 == 0x9; else EPERM"},
		{[][]string{{"arg1 >= 0x10", "arg1 <= 0x20"}}, "allow if arg1 >= 0x10 and arg1 <= 0x20; else EPERM"},
	} {
		c := Call{Native(), 0}
		var rules []Rule
		for _, when := range tt.when {
			rules = append(rules, Rule{c, ActAllow, conditionsFrom(t, when...)})
		}
		insns, err := CompileRules(rulesFrom(t, rules...))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Recover([][]unix.SockFilter{insns}, c)
		if err != nil || got.String() != tt.want {
			t.Errorf("%v: got %s, %v, want %s", tt.when, got, err, tt.want)
		}
	}
}

// Filters on top of each other are found out together.
func TestRecoverStack(t *testing.T) {
	c := Call{Native(), 0}
	var chain [][]unix.SockFilter
	for _, texts := range [][]string{{"arg0 <= 0x10"}, {"arg0 >= 0x8"}, {"arg1 == 0x1"}} {
		insns, err := CompileRules(rulesFrom(t, Rule{c, ActAllow, conditionsFrom(t, texts...)}))
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, insns)
	}
	const want = "allow if arg0 >= 0x8 and arg0 <= 0x10 and arg1 == 0x1; else EPERM"
	if got, err := Recover(chain, c); err != nil || got.String() != want {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := Recover(nil, c); err != nil || got.String() != "allow" {
		t.Errorf("without a filter: %s, %v", got, err)
	}
}

// What cannot be said in conditions is said to be so.
func TestRecoverUnclear(t *testing.T) {
	for name, prog := range map[string][]unix.SockFilter{
		"sum":     {ld(16), aluK(unix.BPF_ADD, 1), jump(unix.BPF_JEQ, 5, 0, 1), ret(ActAllow), ret(ActTrap)},
		"where":   {ld(8), jump(unix.BPF_JEQ, 5, 0, 1), ret(ActAllow), ret(ActTrap)},
		"lengthy": append(manyTests(2000), ret(ActAllow)),
	} {
		got, err := Recover([][]unix.SockFilter{prog}, Call{Native(), 0})
		if err != nil || !got.Unclear || !strings.Contains(got.String(), "not found out") {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	if _, err := Recover([][]unix.SockFilter{{ld(64), retA}}, Call{Native(), 0}); err == nil {
		t.Error("a program that no kernel takes was recovered")
	}
}

// manyTests look at one bit after the other, which way upon way leads through.
func manyTests(n int) []unix.SockFilter {
	var out []unix.SockFilter
	for i := range n / 2 {
		out = append(out, ld(16+uint32(i%12)*4), jump(unix.BPF_JSET, 1<<(i/12%32), 0, 0))
	}
	return out
}

// A recovered answer is never wrong: random rules come back with their meaning, or
// as unclear.
func TestRecoverRandom(t *testing.T) {
	clear, all := 0, 0
	for seed := range uint64(60) {
		r, err := randomRules(rand.New(rand.NewPCG(seed, 21)))
		if err != nil {
			t.Fatal(err)
		}
		insns, err := CompileRules(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, abi := range possible(Native()) {
			for nr := range uint32(20) {
				c := Call{abi, nr}
				got, err := Recover([][]unix.SockFilter{insns}, c)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Of(c)) == 0 {
					if got.Unclear || len(got.Rules) > 0 || got.Otherwise != r.Want(c, Args{}) {
						t.Fatalf("seed %d, %s: got %s", seed, c, got)
					}
					continue
				}
				all++
				if got.Unclear {
					continue
				}
				clear++
				for _, args := range Edges(append(r.Of(c), got.Rules...)) {
					if w := r.Want(c, args); got.want(c, args) != w {
						t.Fatalf("seed %d, %s%#x: got %s of %s, want %s of %v", seed, c, args, got.want(c, args), got, w, r.Of(c))
					}
				}
			}
		}
	}
	t.Logf("%d of %d calls with conditions are found out", clear, all)
	if clear*2 < all {
		t.Errorf("only %d of %d calls with conditions are found out", clear, all)
	}
}

// FuzzRecover finds out what any bytes answer, which must end and not be wrong.
func FuzzRecover(f *testing.F) {
	for seed := range uint64(4) {
		r, err := randomRules(rand.New(rand.NewPCG(seed, 5)))
		if err != nil {
			f.Fatal(err)
		}
		insns, err := CompileRules(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(Encode(insns), uint32(seed), uint64(8))
	}
	f.Fuzz(func(t *testing.T, raw []byte, nr uint32, arg uint64) {
		insns, err := Decode(raw)
		if err != nil {
			return
		}
		c := Call{Native(), nr % maxNr}
		got, err := Recover([][]unix.SockFilter{insns}, c)
		if err != nil || got.Unclear {
			return
		}
		d := DataOf(c)
		d.Args = Args{arg, arg >> 1, ^arg}
		if is, err := Eval(insns, d); err != nil || is != got.want(c, d.Args) {
			t.Errorf("%#x: the filter says %s, %v, found was %s", d.Args, is, err, got)
		}
	})
}
