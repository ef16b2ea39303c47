package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// Who would have been denied, in which phase, and what it did, as far as that was
// counted and sampled.
func TestRehearsalTellsWhoAndShowsSamples(t *testing.T) {
	s := life(t, map[time.Duration][]uint32{20 * sec: {5}, 40 * sec: {5, 6}})
	if err := s.ChangeAdmin(AdminChange{AdminAdd, Admin{From: 39 * sec, To: 41 * sec}}); err != nil {
		t.Fatal(err)
	}
	by := func(pid uint32, nr uint32, n uint64, first, last time.Duration) ProcessUse {
		return ProcessUse{Process{pid, "w", "/bin/w", 0}, trace.Main, policy.Call{Nr: nr}, n, first, last}
	}
	s.SetProcesses([]ProcessUse{
		by(1, 5, 9, sec, sec),         // in boot
		by(2, 5, 3, 20*sec, 20*sec+1), // in run
		by(3, 5, 50, sec, 20*sec),     // in boot and in run
		by(4, 5, 4, sec, 40*sec),      // in boot and in admin, and so perhaps in run
		by(5, 6, 2, 40*sec, 40*sec+1), // in admin
		{Process{6, "x", "", 0}, trace.Exec, policy.Call{Nr: 5}, 7, 20 * sec, 20 * sec},
	})
	for i, at := range []time.Duration{sec, 20*sec + 20*ms, 20*sec + 30*ms, 20*sec + 40*ms, 20*sec + 50*ms, 40*sec + 20*ms} {
		s.AddSamples([]Sample{{At: at, Pid: uint32(i), Group: trace.Main, Call: policy.Call{Nr: 5}}})
	}
	sp := Split{At: 2 * sec}
	s.AddEdit(policy.Edit{Op: policy.OpDeny, Call: policy.Call{Nr: 5}, Phase: policy.Run})
	s.AddEdit(policy.Edit{Op: policy.OpLeaveOut, Phase: policy.Admin})
	s.AddEdit(policy.Edit{Op: policy.OpAllow, Call: policy.Call{Nr: 77}, Phase: policy.Run})
	s.AddEdit(policy.Edit{Op: policy.OpAllow, Call: policy.Call{Nr: 7}, Phase: policy.Run})
	r := Rehearse(s, sp, s.Policy(sp))
	var got []string
	for _, d := range r.Denied {
		text := d.Phase.String() + " " + string('0'+rune(d.Call.Nr)) + " by"
		for _, c := range d.By {
			text += " " + string('0'+rune(c.Pid)) + map[bool]string{true: "!", false: "?"}[c.Sure] + map[bool]string{true: "=", false: ""}[c.Whole]
		}
		for _, x := range d.Samples {
			text += " " + x.At.String()
		}
		got = append(got, text)
	}
	want := []string{
		"run 5 by 3! 2! 4? 20.05s 20.04s 20.03s",
		"admin 5 by 4! 40.02s",
		"admin 6 by 5!=",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if want := []policy.Call{{Nr: 77}}; !slices.Equal(r.Unused, want) {
		t.Errorf("unused %v, want %v", r.Unused, want)
	}
	if !slices.Contains(r.Idle, policy.Call{Nr: 77}) || !slices.Contains(r.Idle, policy.Call{Nr: 7}) || len(r.Idle) != 2 {
		t.Errorf("idle %v", r.Idle)
	}
}

// However many processes made a call, a few are told.
func TestRehearsalOfManyCallers(t *testing.T) {
	s := life(t, map[time.Duration][]uint32{20 * sec: {5}})
	var list []ProcessUse
	for i := range uint32(2000) {
		list = append(list, ProcessUse{Process{Pid: i + 1}, trace.Main, policy.Call{Nr: 5}, 1, 20 * sec, 20 * sec})
	}
	s.SetProcesses(list)
	s.AddEdit(policy.Edit{Op: policy.OpDeny, Call: policy.Call{Nr: 5}, Phase: policy.Run})
	sp := Split{At: 2 * sec}
	r := Rehearse(s, sp, s.Policy(sp))
	if len(r.Denied) != 1 || r.Denied[0].Callers != 2000 || len(r.Denied[0].By) != maxCallers {
		t.Errorf("%+v", r.Denied)
	}
}
