package tui

import (
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
)

// Where a recording is coarse, moving the split says so; the session says it of a
// split that stays there.
func TestMovingASplitSaysWhereItIsCoarse(t *testing.T) {
	s := session.New(session.Meta{StartSeen: true})
	for start := time.Duration(0); start < 2*time.Minute; {
		end := start + 100*time.Millisecond
		if start == time.Minute {
			end = start + 28*time.Second
		}
		row := session.Row{Group: trace.Main, Call: policy.Call{Nr: 1}, Count: 9, First: start, Last: end}
		if err := s.AddEpoch(session.Epoch{Start: start, End: end, Rows: []session.Row{row}}); err != nil {
			t.Fatal(err)
		}
		start = end
	}
	for _, x := range []struct {
		sp   session.Split
		want string
	}{
		{session.Split{At: 10 * time.Second}, ""},
		{session.Split{At: 70 * time.Second}, "kept in stretches of 28.000s there: the sets are exact, counts are shared out"},
		{session.Split{At: 70 * time.Second, Stop: 80 * time.Second}, "- " + session.BlurText(28*time.Second)},
	} {
		n := &snapshot{at: time.Now(), length: s.Length()}
		n.choose(s, wish{moved: &x.sp})
		var got string
		for _, l := range coarseText(n) {
			got += l.text
		}
		if got != x.want {
			t.Errorf("%v, %v: %q, want %q", x.sp.At, x.sp.Stop, got, x.want)
		}
	}
}
