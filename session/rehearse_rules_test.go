package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// A profile that looks at arguments is held against the values that were counted;
// what these do not tell is unsure, and never taken for allowed or denied.
func TestRehearseRules(t *testing.T) {
	const socket, ioctl, clone, openat, kill = 41, 16, 56, 257, 62
	nr := func(n uint32) policy.Call { return policy.Call{Nr: n} }
	// read always; socket in boot and in run, once each per value; ioctl, clone and
	// openat in run; kill in boot.
	s := New(Meta{StartSeen: true})
	uses := map[uint32][]time.Duration{socket: {sec, 20 * sec, 30 * sec}, ioctl: {20 * sec, 21 * sec}, clone: {20 * sec}, openat: {20 * sec}, kill: {sec}, 63: {sec, 40 * sec}}
	for i := range time.Duration(500) {
		e := Epoch{Start: i * 100 * ms, End: (i + 1) * 100 * ms}
		e.Rows = append(e.Rows, Row{trace.Main, nr(0), 1, e.End, e.End}, Row{trace.Init, nr(99), 1, e.End, e.End})
		for n, times := range uses {
			if slices.Contains(times, e.Start) {
				e.Rows = append(e.Rows, Row{trace.Main, nr(n), 1, e.Start + ms, e.Start + ms})
			}
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	value := func(n uint32, count uint64, first, last time.Duration, v ...uint64) Argument {
		return Argument{trace.Main, nr(n), v, count, first + ms, last + ms}
	}
	s.SetArguments([]Argument{
		value(socket, 1, sec, sec, 16, 3), value(socket, 2, 20*sec, 30*sec, 2, 1),
		value(ioctl, 1, 20*sec, 20*sec, 0x5401), // and one was not counted
		value(clone, 1, 20*sec, 20*sec, 0x1200011),
		value(openat, 1, 20*sec, 20*sec, 0),
		value(63, 2, sec, 40*sec, 0),
	}, false)
	is := func(arg uint8, v uint64) []policy.Condition { return []policy.Condition{{Arg: arg, Value: v}} }
	allow := func(n uint32, when ...policy.Condition) policy.Rule {
		return policy.Rule{Call: nr(n), Action: policy.ActAllow, When: when}
	}
	no := policy.ActErrno | 1
	rules := func(list ...policy.Rule) policy.Rules {
		r, err := policy.NewRules([]policy.ABI{policy.X86_64}, policy.Outside{Default: no, Foreign: no}, append(list, allow(0), allow(63)))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	all := []policy.Rule{allow(socket), allow(ioctl), allow(clone), allow(openat), allow(kill)}
	without := func(n uint32, more ...policy.Rule) []policy.Rule {
		return append(slices.DeleteFunc(slices.Clone(all), func(r policy.Rule) bool { return r.Call == nr(n) }), more...)
	}
	sp := Split{At: 2 * sec}
	for name, x := range map[string]struct {
		rules []policy.Rule
		late  bool
		want  []string
	}{
		"all":                            {all, false, nil},
		"one is missing":                 {without(kill), false, []string{"boot kill 1"}},
		"it is missing in run":           {without(kill), true, nil},
		"a domain that boot used":        {without(socket, allow(socket, is(0, 2)...)), false, []string{"boot socket 1 socket(0x10, 0x3)"}},
		"the same, from the split on":    {without(socket, allow(socket, is(0, 2)...)), true, nil},
		"a domain that run used":         {without(socket, allow(socket, is(0, 16)...)), false, []string{"run socket 2 socket(0x2, 0x1)"}},
		"both domains":                   {without(socket, allow(socket, is(0, 2)...), allow(socket, is(0, 16)...)), false, nil},
		"an argument that is not kept":   {without(socket, allow(socket, is(2, 0)...)), false, []string{"boot socket? it looks at arguments whose values are not counted", "run socket? it looks at arguments whose values are not counted"}},
		"not all were counted":           {without(ioctl, allow(ioctl, is(1, 0x5401)...)), false, []string{"run ioctl? it looks at arguments, and the values of 1 of 2 uses were counted"}},
		"not all, and one is refused":    {without(ioctl, allow(ioctl, is(1, 7)...)), false, []string{"run ioctl 1 ioctl(0x5401)", "run ioctl? it looks at arguments, and the values of 1 of 2 uses were counted"}},
		"new namespaces":                 {without(clone, allow(clone, policy.Condition{Op: policy.MaskedEqual, Mask: 0x7e020000})), false, nil},
		"its flags are not those looked": {without(openat, allow(openat, is(1, 0)...)), false, []string{"run openat? it looks at arguments whose values are not counted"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := RehearseRules(s, sp, rules(x.rules...), x.late)
			var got []string
			for _, d := range r.Denied {
				text := fmt.Sprint(d.Phase, " ", d.Call, " ", d.Count)
				for _, v := range d.Refused {
					text += fmt.Sprint(" ", v)
				}
				got = append(got, text)
			}
			for _, u := range r.Unsure {
				got = append(got, fmt.Sprint(u.Phase, " ", u.Call, "? ", u.Why))
			}
			if !slices.Equal(got, x.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(x.want, "\n"))
			}
		})
	}
	// A merged session judges by the values of its runs, and says where it has none of one.
	m, _, err := Merge("test", Input{"a", withSplit(s, Split{At: 2 * sec, Stop: 25 * sec})})
	if err != nil {
		t.Fatal(err)
	}
	msp, _ := m.Split()
	of2 := rules(without(socket, allow(socket, is(0, 2)...))...)
	r, own := RehearseRules(m, msp, of2, false), RehearseRules(s, Split{At: 2 * sec, Stop: 25 * sec}, of2, false)
	told := func(r ProfileRehearsal) (out []string) {
		for _, d := range r.Denied {
			out = append(out, fmt.Sprint(d.Call, d.Phase, d.Count, d.Refused))
		}
		for _, u := range r.Unsure {
			out = append(out, fmt.Sprint(u.Call, u.Phase, u.Count, u.Why))
		}
		return out
	}
	if got, want := told(r), told(own); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("merged: %q, alone: %q", got, want)
	}
	lacks := m.merged.runs[0]
	lacks.ID, lacks.Values, lacks.ValuesWhole = "old", nil, false
	m.merged.add(lacks)
	if r := RehearseRules(m, msp, of2, false); len(r.Unsure) != 3 || !strings.Contains(r.Unsure[0].Why, "of 1 of 2 runs not all values are known") {
		t.Errorf("merged with one that has none: %+v", r)
	}
	r = RehearseRules(s, sp, rules(append(all, allow(200))...), false)
	if !slices.Equal(r.Unused, []policy.Call{nr(200)}) {
		t.Errorf("unused %v", r.Unused)
	}
}

func withSplit(s *Session, sp Split) *Session {
	s.AddSplit(sp)
	return s
}
