package policy

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// conditionEdit parses "run socket: arg0 == 0x2 and arg1 == 0x1, or arg0 == 0x1".
func conditionEdit(t *testing.T, text string) Edit {
	t.Helper()
	head, conditions, _ := strings.Cut(text, ": ")
	ph, name, _ := strings.Cut(head, " ")
	c, err := ParseCall(name)
	if err != nil {
		t.Fatal(err)
	}
	e := Edit{Op: OpCondition, Call: c, Phase: map[string]Phase{"boot": Boot, "run": Run}[ph], From: OriginHand}
	for _, all := range strings.Split(conditions, ", or ") {
		e.When = append(e.When, conditionsFrom(t, strings.Split(all, " and ")...))
	}
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	return e
}

func conditionalPolicy(t *testing.T, edits ...string) Policy {
	t.Helper()
	obs := Observed{Boot: sawMuch(t, "socket", "clone", "ioctl"), Run: sawMuch(t, "socket", "clone", "read", "prctl")}
	var list []Edit
	for _, text := range edits {
		list = append(list, conditionEdit(t, text))
	}
	return Derive(obs, list)
}

func sawMuch(t *testing.T, names ...string) (out []Use) {
	t.Helper()
	for _, name := range names {
		c, err := ParseCall(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Use{Call: c, Count: 100})
	}
	return out
}

// What each filter answers to socket, which boot and run use, to ioctl, which
// boot alone uses, and to the conditions of both filters together.
func TestConditionalSpecs(t *testing.T) {
	for _, tt := range []struct {
		name                string
		edits               []string
		call                string
		arg                 uint64
		start, wide, narrow string
	}{
		{"run, passed", []string{"run socket: arg0 == 0x2"}, "socket", 2, "allow", "allow", "allow"},
		{"run, not passed", []string{"run socket: arg0 == 0x2"}, "socket", 1, "notify", "allow", "EPERM"},
		{"boot, passed", []string{"boot socket: arg0 == 0x2"}, "socket", 2, "allow", "allow", "allow"},
		{"boot, not passed", []string{"boot socket: arg0 == 0x2"}, "socket", 1, "EPERM", "EPERM", "EPERM"},
		{"boot's alone, passed", []string{"boot ioctl: arg1 == 0x0"}, "ioctl", 1, "notify", "allow", "EPERM"},
		{"boot's alone, not passed", []string{"boot ioctl: arg0 == 0x2"}, "ioctl", 1, "EPERM", "EPERM", "EPERM"},
		{"both, passed", []string{"boot socket: arg0 <= 0x2", "run socket: arg0 >= 0x2"}, "socket", 2, "allow", "allow", "allow"},
		{"both, boot's", []string{"boot socket: arg0 <= 0x2", "run socket: arg0 >= 0x2"}, "socket", 1, "notify", "allow", "EPERM"},
		{"both, run's", []string{"boot socket: arg0 <= 0x2", "run socket: arg0 >= 0x2"}, "socket", 3, "EPERM", "EPERM", "EPERM"},
		{"never both", []string{"boot socket: arg0 == 0x2", "run socket: arg0 == 0x3"}, "socket", 2, "notify", "allow", "EPERM"},
		{"alternatives", []string{"run socket: arg0 == 0x2, or arg0 == 0x5"}, "socket", 5, "allow", "allow", "allow"},
		{"one in place of another", []string{"run socket: arg0 == 0x2", "run socket: arg0 == 0x5"}, "socket", 2, "notify", "allow", "EPERM"},
		{"without", nil, "socket", 9, "allow", "allow", "allow"},
	} {
		p := conditionalPolicy(t, tt.edits...)
		c, err := ParseCall(tt.call)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []struct {
			name string
			spec Spec
			want string
		}{{"start", p.StartSpec(), tt.start}, {"wide", p.WideSpec(), tt.wide}, {"narrow", p.NarrowSpec(), tt.narrow}} {
			if got := f.spec.Answer(c, Args{tt.arg}).String(); got != f.want {
				t.Errorf("%s: %s filter answers %s, want %s", tt.name, f.name, got, f.want)
			}
			compiled, err := Compile(f.spec)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if v, err := VerifySpec(compiled.Insns, f.spec); err != nil || !v.OK() {
				t.Errorf("%s, %s filter: %v, %v", tt.name, f.name, v.Differ, err)
			}
		}
	}
}

// A condition is an edit: without it, or taken back, all is as before, and a
// denied call stays denied.
func TestConditionEdits(t *testing.T) {
	plain := conditionalPolicy(t)
	e := conditionEdit(t, "run socket: arg0 == 0x2")
	obs := Observed{Boot: sawMuch(t, "socket", "clone", "ioctl"), Run: sawMuch(t, "socket", "clone", "read", "prctl")}
	back := Derive(obs, []Edit{e, {Op: OpNoCondition, Call: e.Call, Phase: Run}})
	if got := back.NarrowSpec(); !reflect.DeepEqual(got, plain.NarrowSpec()) {
		t.Errorf("taken back: got %+v", got)
	}
	with := Derive(obs, []Edit{e})
	got, ok := with.Entry(e.Call)
	if want := []Conditional{{Phase: Run, When: e.When, Origin: OriginHand}}; !ok || !got.Run || !got.Edited || !reflect.DeepEqual(got.Conditions, want) {
		t.Errorf("got %+v", got)
	}
	if !with.Narrow().Has(e.Call) || !with.Conditional(Run).Has(e.Call) || with.Conditional(Boot).Len() != 0 {
		t.Error("the call is not in the sets as one with conditions")
	}
	denied := Derive(obs, []Edit{e, {Op: OpDeny, Call: e.Call, Phase: Run}})
	if denied.Narrow().Has(e.Call) || denied.NarrowSpec().Answer(e.Call, Args{2}).Allows() {
		t.Error("a denied call is allowed under its condition")
	}
	if again := Derive(obs, []Edit{e, {Op: OpDeny, Call: e.Call, Phase: Run}, {Op: OpAllow, Call: e.Call, Phase: Run}}); again.When(Run, e.Call) == nil {
		t.Error("allowed again, the call has lost its condition")
	}
	if opened := Derive(nil, []Edit{e}); opened.Narrow().Has(e.Call) {
		t.Error("a condition allowed a call")
	}
}

func TestCheckCondition(t *testing.T) {
	socket := Call{Native(), numbers()[Native()]["socket"]}
	two := [][]Condition{conditionsFrom(t, "arg0 == 0x2")}
	many := make([][]Condition, MaxAlternatives+1)
	for i := range many {
		many[i] = two[0]
	}
	for _, tt := range []struct {
		name string
		edit Edit
		want string
	}{
		{"good", Edit{Op: OpCondition, Call: socket, Phase: Run, When: two, From: OriginObserved}, ""},
		{"taken off", Edit{Op: OpNoCondition, Call: socket, Phase: Boot}, ""},
		{"a group", Edit{Op: OpCondition, Call: socket, Phase: Stop, When: two, From: OriginHand}, "phase stop"},
		{"none", Edit{Op: OpCondition, Call: socket, Phase: Run, From: OriginHand}, "no condition is given"},
		{"many", Edit{Op: OpCondition, Call: socket, Phase: Run, When: many, From: OriginHand}, "33 alternatives"},
		{"empty", Edit{Op: OpCondition, Call: socket, Phase: Run, When: [][]Condition{{}}, From: OriginHand}, "0 tests"},
		{"no argument", Edit{Op: OpCondition, Call: socket, Phase: Run, When: [][]Condition{{{Arg: 6}}}, From: OriginHand}, "argument 6"},
		{"never", Edit{Op: OpCondition, Call: socket, Phase: Run, When: [][]Condition{conditionsFrom(t, "arg0 == 0x2", "arg0 == 0x3")}, From: OriginHand}, "never holds"},
		{"wide", Edit{Op: OpCondition, Call: Call{I386, 359}, Phase: Run, When: [][]Condition{conditionsFrom(t, "arg0 == 0x100000000")}, From: OriginHand}, "never holds for i386:socket"},
		{"origin", Edit{Op: OpCondition, Call: socket, Phase: Run, When: two, From: "moon"}, `from "moon"`},
	} {
		err := tt.edit.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

func TestWarnConditions(t *testing.T) {
	obs := Observed{Run: append(sawMuch(t, "socket", "clone", "clone3", "openat", "read"), sawMuch(t, "exit_group")...)}
	for _, tt := range []struct{ name, edit, want string }{
		{"clone3", "run clone: arg0 & 0x10000000 == 0x0", "the condition on clone keeps nothing away: clone3 is allowed"},
		{"path", "run openat: arg2 == 0x0", "the condition on openat is not to be relied on"},
		{"essential", "run exit_group: arg0 == 0x0", "run allows exit_group under a condition"},
		{"refused", "run socket: arg0 == 0x1", "the condition on socket refuses what was recorded in run: socket(0x2, 0x1), 3 times"},
		{"not refused", "run socket: arg0 == 0x2 and arg1 == 0x1 and arg2 == 0x7", ""},
	} {
		p := Derive(obs, []Edit{conditionEdit(t, tt.edit)}).Recorded(map[Phase][]Seen{Run: seenOf(t, "socket", []uint64{2, 1})})
		var all []string
		for _, w := range warnConditions(p) {
			all = append(all, w.Text)
		}
		if got := strings.Join(all, "; "); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}

// A keeper is told specs as JSON.
func TestSpecJSON(t *testing.T) {
	s := conditionalPolicy(t, "boot socket: arg0 <= 0x2", "run socket: arg0 & 0xf == 0x2").StartSpec()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Spec
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("got %+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(strings.Replace(string(text), "arg0", "arg9", 1)), &back); err == nil {
		t.Error("a condition on argument 9 was taken")
	}
}

// FuzzConditionalPolicy derives policies with random conditions, and holds their
// filters against what they say.
func FuzzConditionalPolicy(f *testing.F) {
	for i := range uint64(8) {
		f.Add(i, i*i)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		r := rand.New(rand.NewPCG(a, b))
		obs := Observed{Boot: sawMuch(t, "socket", "clone", "ioctl", "i386:socket"), Run: sawMuch(t, "socket", "read", "prctl", "i386:socket", "openat2")}
		if Native() != X86_64 {
			t.Skip("i386 calls are those of x86_64")
		}
		var edits []Edit
		for range r.IntN(6) {
			e := Edit{Op: OpCondition, From: OriginHand, Phase: []Phase{Boot, Run}[r.IntN(2)], Call: obs[Boot][r.IntN(4)].Call}
			if r.IntN(2) == 0 {
				e.Call = obs[Run][r.IntN(5)].Call
			}
			for range 1 + r.IntN(3) {
				var all []Condition
				for range 1 + r.IntN(2) {
					all = append(all, Condition{Arg: uint8(r.IntN(3)), Op: Compare(r.IntN(int(MaskedEqual))), Value: r.Uint64() >> r.IntN(65)})
				}
				e.When = append(e.When, all)
			}
			edits = append(edits, e)
		}
		p := Derive(obs, edits)
		for _, s := range []Spec{p.StartSpec(), p.WideSpec(), p.NarrowSpec()} {
			compiled, err := Compile(s)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := VerifySpec(compiled.Insns, s); err != nil || !v.OK() {
				t.Fatalf("edits %v: %v, %v", edits, v.Differ, err)
			}
		}
	})
}

func TestWithConditions(t *testing.T) {
	p := conditionalPolicy(t, "run socket: arg0 == 0x2, or arg0 == 0x5")
	bare := conditionalPolicy(t)
	if got := bare.WithConditions(p.NarrowSpec().When); !reflect.DeepEqual(got.NarrowSpec(), p.NarrowSpec()) {
		t.Errorf("got %+v", got.NarrowSpec())
	}
	if bare.Conditional(Run).Len() != 0 {
		t.Error("the policy was changed")
	}
}
