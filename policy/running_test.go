package policy

import "testing"

// The filter of a hold on what runs already fails nothing: what run does not need is
// asked, of every ABI, known or not, and calls with conditions where those do not hold.
func TestRunningSpec(t *testing.T) {
	call := func(name string) Call {
		c, err := ParseCall(name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	edits := []Edit{{Op: OpAllow, Call: call("read"), Phase: Run}, {Op: OpAllow, Call: call("i386:read"), Phase: Run}}
	plain := Derive(nil, edits)
	for name, p := range map[string]Policy{
		"plain":      plain,
		"answers":    plain.WithAnswers(Answers{Denied: ActKillProcess, Newer: RefuseWith(1), Single: []Answer{{call("open"), ActTrap}}}),
		"conditions": Derive(nil, append(edits, Edit{Op: OpAllow, Call: call("socket"), Phase: Run})).WithConditions([]Rule{{Call: call("socket"), Action: ActAllow, When: []Condition{{Arg: 0, Op: Equal, Value: 1}}}}),
	} {
		t.Run(name, func(t *testing.T) {
			s, narrow := p.RunningSpec(), p.NarrowSpec()
			f, err := Compile(s)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := VerifySpec(f.Insns, s); err != nil || !v.OK() {
				t.Fatal(err, v.Differ)
			}
			for _, abi := range []ABI{X86_64, I386, X32} {
				for nr := range uint32(1200) {
					c := Call{abi, nr}
					d := DataOf(c)
					got, err := Eval(f.Insns, d)
					if err != nil {
						t.Fatal(err)
					}
					want := ActNotify
					if narrow.Answer(c, Args{}) == ActAllow {
						want = ActAllow
					}
					if got != want {
						t.Fatalf("%s: %s, want %s", c, got, want)
					}
				}
			}
		})
	}
}
