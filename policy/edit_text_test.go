package policy

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// What is printed is what is read.
func TestConditionsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		var when [][]Condition
		for range 1 + r.IntN(4) {
			var all []Condition
			for range 1 + r.IntN(3) {
				c := Condition{Arg: uint8(r.IntN(6)), Op: Compare(r.IntN(int(compares))), Value: r.Uint64() >> r.IntN(64)}
				if c.Op == MaskedEqual {
					c.Mask = c.Value | r.Uint64()>>r.IntN(64)
				}
				if c.Check() == nil {
					all = append(all, c)
				}
			}
			if len(all) > 0 {
				when = append(when, all)
			}
		}
		if when == nil {
			continue
		}
		text := ConditionsText(when)
		got, err := ParseConditions(text)
		if err != nil || !reflect.DeepEqual(got, when) {
			t.Fatalf("%s comes back as %s, %v", text, ConditionsText(got), err)
		}
	}
}

func TestParseConditions(t *testing.T) {
	for _, tt := range []struct{ text, want, err string }{
		{"arg0 == AF_UNIX", "arg0 == 0x1", ""},
		{"arg0==AF_UNIX||arg0==AF_INET&&arg1&0xf==SOCK_STREAM", "arg0 == 0x1, or arg0 == 0x2 and arg1 & 0xf == 0x1", ""},
		{"arg0 & CLONE_NEWUSER|CLONE_NEWNS == 0", "arg0 & 0x10020000 == 0x0", ""},
		{"arg1 != 010 or arg5 >= 3", "arg1 != 0x8, or arg5 >= 0x3", ""},
		{"", "", "column 1: it ends, want arg0 to arg5"},
		{"arg6 == 1", "", `column 1: "arg6", want arg0 to arg5`},
		{"arg0 = 1", "", `column 6: "=", want a comparison (== != < <= > >= &)`},
		{"arg0 == AF_UNX", "", `column 9: "AF_UNX", want a number, or a name like AF_UNIX`},
		{"arg0 == 1 arg1 == 2", "", `column 11: "arg1", want and, or, or the end`},
		{"arg0 == 1 and", "", "column 14: it ends, want arg0 to arg5"},
		{"arg0 & 1 == 2", "", "column 1: arg0 & 0x1 == 0x2 never holds: the value has bits that the mask takes away"},
		{"arg0 & 1", "", "column 9: it ends, want == and what the masked bits are"},
		{"arg0 == 0x1ffffffffffffffff", "", `column 9: "0x1ffffffffffffffff", want a number, or a name like AF_UNIX`},
		{"ärg0 == 1", "", `column 1: "ä", want arg0 to arg5`},
		{strings.Repeat("arg0 == 1 && ", 9) + "arg0 == 1", "", "column 115: more than 8 tests in one alternative"},
		{strings.Repeat("arg0 == 1 || ", 40) + "arg0 == 1", "", "column 417: more than 32 alternatives"},
	} {
		got, err := ParseConditions(tt.text)
		if err != nil || tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%q: got %v, want %q", tt.text, err, tt.err)
			}
			continue
		}
		if text := ConditionsText(got); text != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, text, tt.want)
		}
	}
}

func TestEditsComeBack(t *testing.T) {
	when, err := ParseConditions("arg0 == AF_UNIX || arg0 == AF_INET")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Edit{
		{Op: OpAllow, Call: call("mount"), Phase: Run},
		{Op: OpDeny, Call: call("i386:open"), Phase: Boot, Note: "not needed"},
		{Op: OpAllowFamily, Call: call("openat"), Phase: Admin},
		{Op: OpInclude, Phase: Exec},
		{Op: OpLeaveOut, Phase: Stop},
		{Op: OpCondition, Call: call("socket"), Phase: Run, When: when, From: OriginHand},
		{Op: OpCondition, Call: call("i386:socket"), Phase: Boot, When: when, From: OriginHand},
		{Op: OpCondition, Call: call("socket"), Phase: Boot, When: when, From: OriginImported, Note: "of web.json"},
		{Op: OpNoCondition, Call: call("socket"), Phase: Boot},
		{Op: OpDenied, Phase: Run, Action: ActKillProcess},
		{Op: OpNewer, Phase: Boot, Action: RefuseWith(1)},
		{Op: OpNewer, Phase: Boot},
		{Op: OpAnswer, Call: call("mount"), Phase: Run, Action: RefuseWith(3000)},
		{Op: OpAnswer, Call: call("#999"), Phase: Run},
	} {
		got, err := ParseEdit(e.String())
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s comes back as %+v, %v", e, got, err)
		}
	}
	for _, tt := range []struct{ text, err string }{
		{"", "no edit"},
		{"# a note", "column 1: no edit"},
		{"forbid mount in run", `column 1: no edit "forbid"`},
		{"deny", "deny what? Say deny mount in run"},
		{"deny mnt in run", "column 6: "},
		{"deny mount", "deny where?"},
		{"deny mount in runn", `column 15: no phase "runn"`},
		{"deny mount in run now", "deny where?"},
		{"deny mount in run: EPERM", "deny is written as deny mount in run"},
		{"condition socket in run", "condition is written as condition socket in run: arg0 == AF_UNIX"},
		{"condition socket in run: arg0 = 1", `column 31: "=", want a comparison`},
		{"condition socket in stop: arg0 == 1", "no condition on a call in phase stop"},
		{"answer-denied in run: kill", `column 23: no action "kill"`},
		{"answer-denied in run: allow", "cannot get"},
		{"include run", "cannot include phase run"},
	} {
		if _, err := ParseEdit(tt.text); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: got %v, want %q", tt.text, err, tt.err)
		}
	}
}

func FuzzParseEdit(f *testing.F) {
	for _, s := range []string{"deny mount in run", "condition socket in run: arg0 == AF_UNIX, or arg0 & 3|4 == 1 # why", "answer #9 in boot: errno 7", "include exec: "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEdit(s)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: more than a line: %q", s, err)
			}
			return
		}
		e.Note = ""
		back, err := ParseEdit(e.String())
		back.Note = ""
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%q: %s comes back as %s, %v", s, e, back, err)
		}
	})
}
