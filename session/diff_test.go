package session

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/policy/export"
)

// What the parts of a comparison say, in short: "name a|b".
func saidBy(parts []Part) (out []string) {
	for _, p := range parts {
		if !p.Same() {
			out = append(out, p.Name+" "+policy.NewSet(p.OnlyA...).String()+"|"+policy.NewSet(p.OnlyB...).String())
		}
	}
	return out
}

func TestDiffOfSessions(t *testing.T) {
	a := runOf(t, "h1", 100, time.Second, row(callBind, 1, 500*time.Millisecond))
	b := runOf(t, "h2", 200, 5*time.Second, row(callBind, 1, 6*time.Second), row(callKill, 1, 4*time.Second))
	spA, _ := a.Split()
	spB, _ := b.Split()
	want := []string{"seen in boot bind|kill", "seen in run |bind", "wide filter |kill", "narrow filter |bind"}
	if got := saidBy(Diff(a, spA, b, spB)); !slices.Equal(got, want) {
		t.Errorf("it says %q, want %q", got, want)
	}
	want = []string{"seen in boot kill|bind", "seen in run bind|", "wide filter kill|", "narrow filter bind|"}
	if got := saidBy(Diff(b, spB, a, spA)); !slices.Equal(got, want) {
		t.Errorf("backwards it says %q, want %q", got, want)
	}
	if got := saidBy(Diff(a, spA, a, spA)); got != nil {
		t.Errorf("a session differs from itself: %q", got)
	}
	// An edit changes a filter, and nothing that was seen.
	c := runOf(t, "h1", 100, time.Second, row(callBind, 1, 500*time.Millisecond))
	c.AddEdit(policy.Edit{Op: policy.OpDeny, Call: callBind, Phase: policy.Boot})
	if got := saidBy(Diff(a, spA, c, spA)); !slices.Equal(got, []string{"wide filter bind|"}) {
		t.Errorf("after an edit it says %q", got)
	}
}

// What the runtime called before the program began is no difference.
func TestDiffLeavesTheRuntimeOut(t *testing.T) {
	a := runOf(t, "h1", 100, time.Second)
	b := runOf(t, "h2", 200, time.Second, Row{0, callKill, 1, 1, 1})
	sp, _ := a.Split()
	if b.Observed(sp)[policy.Init] == nil {
		t.Fatal("nothing is in init")
	}
	if got := saidBy(Diff(a, sp, b, sp)); got != nil {
		t.Errorf("it says %q", got)
	}
}

func TestDiffOfFilters(t *testing.T) {
	enosys, eperm := policy.RefuseWith(unix.ENOSYS), policy.RefuseWith(unix.EPERM)
	rules := func(def policy.Action, of []policy.ABI, list ...policy.Rule) Filter {
		r, err := policy.NewRules(of, policy.Outside{Default: def, Foreign: policy.ActKillThread}, list)
		if err != nil {
			t.Fatal(err)
		}
		return FilterOfRules(r)
	}
	native := []policy.ABI{policy.X86_64}
	allow := func(c policy.Call, when ...policy.Condition) policy.Rule {
		return policy.Rule{Call: c, Action: policy.ActAllow, When: when}
	}
	is := func(v uint64) policy.Condition { return policy.Condition{Value: v} }
	read := rules(eperm, native, allow(callRead))
	for name, x := range map[string]struct {
		a, b    Filter
		says    []string
		changed []Change
	}{
		"the same":        {read, rules(eperm, native, allow(callRead)), nil, nil},
		"a spec":          {rules(enosys, native, allow(callRead), policy.Rule{Call: callWrite, Action: eperm}), FilterOf(policy.Spec{Allow: policy.NewSet(callRead), Answers: policy.Answers{Denied: policy.RefuseWith(unix.ENOSYS)}}), []string{"f |"}, []Change{{callWrite, "EPERM", "ENOSYS"}}},
		"one more":        {read, rules(eperm, native, allow(callRead), allow(callWrite)), []string{"f |write"}, nil},
		"another":         {read, rules(eperm, native, allow(callWrite)), []string{"f read|write"}, nil},
		"a condition":     {read, rules(eperm, native, allow(callRead, is(1))), []string{"f |"}, []Change{{callRead, "allow", "allow if arg0 == 0x1, else EPERM"}}},
		"other condition": {rules(eperm, native, allow(callRead, is(2))), rules(eperm, native, allow(callRead, is(1))), []string{"f |"}, []Change{{callRead, "allow if arg0 == 0x2, else EPERM", "allow if arg0 == 0x1, else EPERM"}}},
		"other denial":    {read, rules(eperm, native, allow(callRead), policy.Rule{Call: callKill, Action: policy.ActTrap}), []string{"f |"}, []Change{{callKill, "EPERM", "trap"}}},
		"another abi":     {read, rules(eperm, []policy.ABI{policy.X86_64, policy.I386}, allow(callRead), allow(policy.Call{ABI: policy.I386, Nr: 3})), []string{"f |i386:read"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := DiffFilters("f", x.a, x.b)
			if got := saidBy([]Part{p}); !slices.Equal(got, x.says) || !slices.Equal(p.Changed, x.changed) {
				t.Errorf("it says %q, %+v", got, p.Changed)
			}
		})
	}
}

// A profile that was exported is the filter that it was exported from.
func TestDiffOfAnExportedProfile(t *testing.T) {
	s := runOf(t, "h1", 100, time.Second, row(callBind, 1, 500*time.Millisecond))
	sp, _ := s.Split()
	p := s.Policy(sp)
	for _, ph := range []policy.Phase{policy.Boot, policy.Run} {
		var b bytes.Buffer
		if _, err := export.Write(&b, "docker", p, export.Options{Phase: ph, Runtime: true}); err != nil {
			t.Fatal(err)
		}
		read, _, err := export.Read(b.Bytes(), "")
		if err != nil {
			t.Fatal(err)
		}
		rules, _, err := read.Resolve(export.Host{ABI: policy.Native()})
		if err != nil {
			t.Fatal(err)
		}
		set := map[policy.Phase]policy.Set{policy.Boot: p.Wide(), policy.Run: p.Narrow()}[ph].Union(export.RuntimeCalls())
		if d := DiffFilters("f", FilterOf(policy.Spec{Allow: set}), FilterOfRules(rules)); !d.Same() || d.CountA != set.Len() {
			t.Errorf("%s: %+v", ph, d)
		}
	}
}
