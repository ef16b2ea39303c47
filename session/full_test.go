package session

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// fullSession is a session with something of everything, hostile bytes included.
func fullSession(t testing.TB, epochs int) (*Session, []Epoch) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	x := newRun(r, epochs)
	m := Meta{
		Target: Target{"docker", "0123abcd", "web\x1b[2J", "nginx", "nginx -g 'daemon off;'"},
		Kernel: "6.18", Host: "box", Tool: "speaker 0.1", EngineVersion: "docker 27.1.1\x1b",
		Start: time.Unix(1_700_000_000, 5), Base: 77, StartSeen: true,
	}
	s := New(m)
	for _, e := range x.epochs {
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	fillRest(s)
	return s, x.epochs
}

// fillRest adds one or more of all that is not an epoch.
func fillRest(s *Session) {
	s.AddMark(Mark{3 * time.Second, MarkListenWait, 12, "ng\xffinx", "epoll_wait on tcp 0.0.0.0:80"})
	s.AddMark(Mark{time.Second, MarkUser, 0, "", "here"})
	s.AddSplit(Split{At: time.Second, How: "guess", By: "user"})
	s.AddSplit(Split{4 * time.Second, 9 * time.Second, "wait", "proposal", High, []Evidence{
		{3 * time.Second, true, "it waits"}, {5 * time.Second, false, "it is late"},
	}, "listen-wait ng\xffinx", false})
	s.AddSplit(Split{Rule: "ready nobody", Waits: true, How: "pinned", By: "user"})
	s.AddSplit(Split{At: 5 * time.Second, By: "user"})
	s.UndoSplit()
	s.UndoSplit()
	for _, c := range []AdminChange{
		{AdminAdd, Admin{From: time.Millisecond, To: 20 * time.Millisecond, How: "SIG\x1bHUP", By: "user, as recognised"}},
		{AdminDismiss, Admin{From: 1, To: 2}},
		{AdminAdd, Admin{From: 30 * time.Millisecond, By: "user"}},
		{AdminMove, Admin{ID: 1, From: 0, To: 10 * time.Millisecond}},
	} {
		if err := s.ChangeAdmin(c); err != nil {
			panic(err)
		}
	}
	for i := range 4 {
		s.AddEdit(policy.Edit{At: time.Unix(1_700_000_100, int64(i)), Op: "deny", Call: policy.Call{Nr: uint32(40 + i)}, Phase: policy.Run, Note: "why\x00"})
	}
	s.UndoEdit()
	s.UndoEdit()
	s.RedoEdit()
	s.AddTrial(Trial{6 * time.Second, "inject", true, "4 processes"})
	s.SetArguments([]Argument{
		{trace.Main, policy.Call{Nr: 41}, []uint64{2, 1}, 7, time.Second, 5 * time.Second},
		{trace.Main, policy.Call{Nr: 41}, []uint64{2, 0}, 1, time.Second, time.Second},
		{trace.Exec, policy.Call{ABI: policy.I386, Nr: 54}, []uint64{0x5401}, 1 << 40, -time.Second, time.Second},
	}, true)
	s.SetProcesses([]ProcessUse{
		{Process{12, "ng\xffinx", "/usr/sbin/nginx\x1b", 300 * time.Millisecond}, trace.Main, policy.Call{Nr: 41}, 7, time.Second, 5 * time.Second},
		{Process{13, "sh", "", 0}, trace.Exec, policy.Call{ABI: policy.I386, Nr: 54}, 1 << 40, -time.Second, time.Second},
	})
	s.AddSamples([]Sample{
		{time.Second, 12, 13, trace.Main, policy.Call{Nr: 257}, [6]uint64{1, 2, 3, 4, 5, 1 << 63}, "nginx", "/etc/\xfe"},
		{2 * time.Second, 12, 12, trace.Exec, policy.Call{ABI: policy.I386, Nr: 5}, [6]uint64{}, "sh", ""},
	})
}

// compareRest compares all but the epochs.
func compareRest(t *testing.T, got, want *Session) {
	t.Helper()
	same := func(what string, a, b any) {
		t.Helper()
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s is\n%+v, want\n%+v", what, a, b)
		}
	}
	gm, wm := got.Meta(), want.Meta()
	if !gm.Start.Equal(wm.Start) {
		t.Errorf("start is %v, want %v", gm.Start, wm.Start)
	}
	gm.Start = wm.Start
	same("meta", gm, wm)
	same("marks", got.Marks(), want.Marks())
	same("splits", got.Splits(), want.Splits())
	same("undone splits", got.unsplit, want.unsplit)
	same("trials", got.Trials(), want.Trials())
	same("samples", got.FirstSamples(), want.FirstSamples())
	same("arguments", got.Arguments(), want.Arguments())
	same("processes", got.Processes(), want.Processes())
	same("runs", got.Runs(), want.Runs())
	same("rows refused and marks not kept", [2]uint64{got.table.refused, got.unkept}, [2]uint64{want.table.refused, want.unkept})
	same("undone", got.Undone(), want.Undone())
	same("administration", got.Admins(), want.Admins())
	same("dismissed", got.dismissed, want.dismissed)
	ge, we := got.Edits(), want.Edits()
	for i := range min(len(ge), len(we)) {
		if !ge[i].At.Equal(we[i].At) {
			t.Errorf("edit %d is of %v, want %v", i, ge[i].At, we[i].At)
		}
		ge[i].At = we[i].At
	}
	same("edits", ge, we)
}
