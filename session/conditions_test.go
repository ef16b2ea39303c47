package session

import (
	"slices"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// callSocket is a call whose domain and type are recorded.
var callSocket = policy.Call{Nr: 41}

func onSocket(op policy.EditOp, values ...uint64) policy.Edit {
	e := policy.Edit{Op: op, Call: callSocket, Phase: policy.Run}
	for _, v := range values {
		e.When = append(e.When, []policy.Condition{{Arg: 0, Value: v}, {Arg: 1, Op: policy.MaskedEqual, Mask: 0xf, Value: 1}})
		e.From = policy.OriginObserved
	}
	return e
}

// usedAt is a recording of calls of the program.
func usedAt(t *testing.T, at time.Duration, calls ...uint32) *Session {
	t.Helper()
	s := New(Meta{StartSeen: true})
	e := Epoch{Start: at, End: at + 100*ms}
	for _, nr := range calls {
		e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: nr}, 2, at + 10*ms, at + 60*ms})
	}
	if err := s.AddEpoch(e); err != nil {
		t.Fatal(err)
	}
	return s
}

// Conditions come back from a file, undone ones too.
func TestConditionsInFile(t *testing.T) {
	s := usedAt(t, 20*sec, 41)
	s.AddEdit(onSocket(policy.OpCondition, 2, 1))
	s.AddEdit(onSocket(policy.OpCondition, 16))
	s.AddEdit(onSocket(policy.OpNoCondition))
	s.UndoEdit()
	path := tempPath(t)
	if err := Save(path, s); err != nil {
		t.Fatal(err)
	}
	got, damage, err := Open(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	compareRest(t, got, s)
	sp := Split{At: 2 * sec}
	answers := func(domain uint64) string {
		return got.Policy(sp).NarrowSpec().Answer(callSocket, policy.Args{domain, 1}).String()
	}
	if answers(16) != "allow" || answers(2) != "EPERM" {
		t.Errorf("the last condition does not stand: %s, %s", answers(16), answers(2))
	}
	if !got.RedoEdit() || answers(3) != "allow" {
		t.Error("redone, the condition was not taken off")
	}
	if got.UndoEdit(); !got.UndoEdit() || answers(2) != "allow" || answers(16) != "EPERM" {
		t.Error("undone, the first condition does not stand")
	}
}

// A reader from before there were conditions finds an edit that it does not know,
// in its place.
func TestConditionsForOldReaders(t *testing.T) {
	payload := editFrame(editAdd, onSocket(policy.OpCondition, 2)).payload
	type old struct {
		Step editStep `cbor:"1,keyasint"`
		Op   string   `cbor:"3,keyasint,omitempty"`
		Nr   uint32   `cbor:"5,keyasint,omitempty"`
	}
	var w old
	if err := shortMode().Unmarshal(payload, &w); err != nil || w != (old{editAdd, "condition", 41}) {
		t.Errorf("got %+v, %v", w, err)
	}
}

// What a condition refuses of the recorded values is denied, and what was not
// recorded is said not to be judged.
func TestRehearseConditions(t *testing.T) {
	s := usedAt(t, 20*sec, 41, 42)
	sp := Split{At: 2 * sec}
	s.SetArguments([]Argument{
		{trace.Main, callSocket, []uint64{2, 1}, 5, 20 * sec, 20 * sec},
		{trace.Main, callSocket, []uint64{16, 3}, 7, 20 * sec, 21 * sec},
		{trace.Main, callSocket, []uint64{9, 9}, 8, sec, sec}, // in boot
		{trace.Exec, callSocket, []uint64{1, 1}, 9, 20 * sec, 21 * sec},
	}, true)
	s.AddEdit(onSocket(policy.OpCondition, 2))
	s.AddEdit(policy.Edit{Op: policy.OpCondition, Call: policy.Call{Nr: 42}, Phase: policy.Run, From: policy.OriginHand,
		When: [][]policy.Condition{{{Arg: 2, Value: 16}}}})
	r := Rehearse(s, sp, s.Policy(sp))
	if len(r.Denied) != 1 || r.Denied[0].Phase != policy.Run || r.Denied[0].Count != 7 ||
		len(r.Denied[0].Refused) != 1 || r.Denied[0].Refused[0].String() != "socket(0x10, 0x3)" {
		t.Errorf("denied: %+v", r.Denied)
	}
	if want := []policy.Call{{Nr: 42}}; !slices.Equal(r.Unjudged, want) {
		t.Errorf("unjudged: %v", r.Unjudged)
	}
	if p, ok := s.ProposeConditions(callSocket, false); !ok || len(p.Conditions()) != 3 {
		t.Errorf("proposed: %+v", p)
	}
}

// Sessions that differ in conditions differ.
func TestDiffConditions(t *testing.T) {
	a, b := usedAt(t, 20*sec, 41), usedAt(t, 20*sec, 41)
	b.AddEdit(onSocket(policy.OpCondition, 2))
	sp := Split{At: 2 * sec}
	for _, p := range Diff(a, sp, b, sp) {
		if p.Same() != (p.Name != "narrow filter") {
			t.Errorf("%s: %+v", p.Name, p)
		}
		if p.Name == "narrow filter" && (len(p.Changed) != 1 || p.Changed[0] != (Change{callSocket, "allow", "allow if arg0 == 0x2 and arg1 & 0xf == 0x1, else EPERM"})) {
			t.Errorf("changed: %+v", p.Changed)
		}
	}
}
