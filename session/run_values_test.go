package session

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// opener is a recording of ten seconds, split in the middle, that opens sockets of these
// domains in run, each once, and of AF_UNIX in boot.
func opener(t *testing.T, name string, domains ...uint64) *Session {
	t.Helper()
	s := New(Meta{Target: Target{Name: name}, Start: time.Unix(int64(len(name)+len(domains)), 7), Base: 9, StartSeen: true})
	socket := callNamed(t, "socket")
	values := []Argument{{trace.Main, socket, []uint64{1, 1}, 2, 1, time.Second}}
	for i := range time.Duration(100) {
		at := i * time.Second / 10
		rows := []Row{row(callRead, 1, at+1)}
		if i < 2 {
			rows = append(rows, row(socket, 1, at+1))
		}
		if k := int(i) - 60; k >= 0 && k < len(domains) {
			rows = append(rows, row(socket, 1, at+1))
			values = append(values, Argument{trace.Main, socket, []uint64{domains[k], 1}, 1, at + 1, at + 1})
		}
		if err := s.AddEpoch(Epoch{Start: at, End: at + time.Second/10, Rows: rows}); err != nil {
			t.Fatal(err)
		}
	}
	s.SetArguments(values, true)
	s.AddSplit(Split{At: 5 * time.Second, By: "user"})
	return s
}

func callNamed(t *testing.T, name string) policy.Call {
	t.Helper()
	c, err := policy.ParseCall(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A merge knows the argument values of its runs, added up, each in the phases of its own
// run; conditions are proposed from them and judged by them, also once it was saved, and
// a run that comes again counts once.
func TestMergeKeepsArguments(t *testing.T) {
	socket := callNamed(t, "socket")
	a, b := opener(t, "a", 2), opener(t, "bb", 2, 10)
	first, _ := mergeOf(t, Input{"a", a}, Input{"b", b})
	path := filepath.Join(t.TempDir(), "m")
	if err := Save(path, first); err != nil {
		t.Fatal(err)
	}
	saved, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := mergeOf(t, Input{"m", saved}, Input{"b", b})
	for name, s := range map[string]*Session{"merged": first, "saved": saved, "merged again": again} {
		counts := map[uint64]uint64{}
		for _, x := range s.Arguments() {
			counts[x.Values[0]] += x.Count
		}
		if len(counts) != 3 || counts[1] != 4 || counts[2] != 2 || counts[10] != 1 {
			t.Errorf("%s: %v", name, s.Arguments())
		}
		p, ok := s.ProposeConditions(socket, false)
		if !ok || len(p.Rules) != 3 || !strings.HasPrefix(p.Why, "7 calls had no other value than these 3") || strings.Contains(p.Why, "known") {
			t.Errorf("%s: proposal %+v", name, p)
		}
		when, err := policy.ParseConditions("arg0 == AF_INET")
		if err != nil {
			t.Fatal(err)
		}
		s.AddEdit(policy.Edit{Op: policy.OpCondition, Call: socket, Phase: policy.Run, When: when, From: policy.OriginHand})
		sp, _ := s.Split()
		r := Rehearse(s, sp, s.Policy(sp))
		if len(r.Denied) != 1 || r.Denied[0].Phase != policy.Run || len(r.Denied[0].Refused) != 1 || r.Denied[0].Refused[0].Values[0] != 10 || len(r.Unjudged) != 0 {
			t.Errorf("%s: rehearsal %+v", name, r)
		}
		rules, err := s.Policy(sp).NarrowSpec().Rules()
		if err != nil {
			t.Fatal(err)
		}
		x := RehearseRules(s, sp, rules, true)
		if len(x.Denied) != 1 || x.Denied[0].Count != 1 || len(x.Unsure) != 0 {
			t.Errorf("%s: as a profile %+v", name, x)
		}
		s.UndoEdit()
	}
}

// Where values of one run are not all known, the merge says so wherever it matters.
func TestMergeKnowsWhatValuesItLacks(t *testing.T) {
	socket := callNamed(t, "socket")
	a, b := opener(t, "a", 2), opener(t, "bb", 2)
	at := b.Length()
	if err := b.AddEpoch(Epoch{Start: at, End: at + time.Second/10, Lost: trace.Lost{ArgsDropped: 3}}); err != nil {
		t.Fatal(err)
	}
	s, notes := mergeOf(t, Input{"a", a}, Input{"b", b})
	if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "of 1 of 2 runs not all values are known") }) {
		t.Errorf("notes %q", notes)
	}
	if p, _ := s.ProposeConditions(socket, false); !strings.HasSuffix(p.Why, "; of 1 of 2 runs not all values are known") {
		t.Errorf("proposal %+v", p)
	}
	when, err := policy.ParseConditions("arg0 == AF_INET")
	if err != nil {
		t.Fatal(err)
	}
	s.AddEdit(policy.Edit{Op: policy.OpCondition, Call: socket, Phase: policy.Run, When: when, From: policy.OriginHand})
	sp, _ := s.Split()
	if r := Rehearse(s, sp, s.Policy(sp)); len(r.Denied) != 0 || len(r.Unjudged) != 1 {
		t.Errorf("rehearsal %+v", r)
	}
}
