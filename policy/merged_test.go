package policy

import (
	"testing"
	"time"
)

// How many recordings of a merged session saw a call is said with its reasons.
func TestCoverageOfRecordings(t *testing.T) {
	read, write, kill := Call{Nr: 0}, Call{Nr: 1}, Call{Nr: 62}
	p := Derive(Observed{
		Init: {{Call: read, Count: 1, Runs: 5, OfRuns: 5}, {Call: kill, Count: 1, Runs: 1, OfRuns: 5}},
		Boot: {{Call: read, Count: 4, First: -3 * time.Second, Last: -time.Second, Runs: 5, OfRuns: 5}, {Call: write, Count: 1}},
		Run:  {{Call: read, Count: 2, First: time.Second, Last: time.Second, Runs: 2, OfRuns: 4, Earlier: 3}},
	}, nil)
	for call, want := range map[Call]string{read: "boot 5/5 run 2/4", write: "seen boot", kill: "init 1/5"} {
		if e, _ := p.Entry(call); e.SeenIn() != want {
			t.Errorf("of %v it says %q, want %q", call, e.SeenIn(), want)
		}
	}
	e, _ := p.Entry(read)
	if got := e.Why[2].Text; got != "seen 2 times, in 2 of 4 runs, seen 3 times in another recording" {
		t.Errorf("the reason is %q", got)
	}
	if got, want := e.Total(), (Use{Call: read, Count: 7, First: -3 * time.Second, Last: time.Second, Earlier: 3}); got.Count != want.Count ||
		got.Last != want.Last || got.Earlier != want.Earlier || got.First != want.First {
		t.Errorf("the total is %+v, want %+v", got, want)
	}
}
