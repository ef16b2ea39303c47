package export

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"speaker/policy"
)

// conditionsOn is an edit that conditions a call in run; each list is one
// alternative.
func conditionsOn(t *testing.T, name string, lists ...[]string) policy.Edit {
	t.Helper()
	c, err := policy.ParseCall(name)
	if err != nil {
		t.Fatal(err)
	}
	e := policy.Edit{Op: policy.OpCondition, Call: c, Phase: policy.Run, From: policy.OriginHand}
	for _, list := range lists {
		var all []policy.Condition
		for _, text := range list {
			x, err := policy.ParseCondition(text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, x)
		}
		e.When = append(e.When, all)
	}
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	return e
}

// The conditions of a policy are in the profile, as it is read back, but on calls
// whose conditions a container runtime would not get by with.
func TestExportConditions(t *testing.T) {
	p := policy.Derive(policy.Observed{policy.Run: saw(t, "socket", "clone", "prctl", "mmap", "read")}, []policy.Edit{
		conditionsOn(t, "socket", []string{"arg0 == 0x2", "arg1 & 0xf == 0x1"}, []string{"arg0 == 0x1"}),
		conditionsOn(t, "clone", []string{"arg0 & 0x7e020000 == 0x0"}),
		conditionsOn(t, "prctl", []string{"arg0 == 0xf"}),
		conditionsOn(t, "mmap", []string{"arg2 == 0x1"}),
	})
	for _, format := range []string{"docker", "podman", "oci", "text"} {
		var b bytes.Buffer
		warnings, err := Write(&b, format, p, Options{Phase: policy.Run, Runtime: true})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(warnings, func(s string) bool { return strings.Contains(s, "conditions on mmap prctl are left out") }) {
			t.Errorf("%s: warnings %q", format, warnings)
		}
		profile, _, err := Read(b.Bytes(), format)
		if err != nil {
			t.Fatal(err)
		}
		rules, _, err := profile.Resolve(here())
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			call string
			args policy.Args
			want bool
		}{
			{"socket", policy.Args{2, 0x80001}, true}, {"socket", policy.Args{2, 2}, false}, {"socket", policy.Args{1, 5}, true}, {"socket", policy.Args{16, 1}, false},
			{"clone", policy.Args{0x50f00}, true}, {"clone", policy.Args{0x10000011}, false},
			{"prctl", policy.Args{38}, true}, {"mmap", policy.Args{2: 3}, true}, {"read", policy.Args{7}, true}, {"ptrace", policy.Args{}, false},
		} {
			c, err := policy.ParseCall(tt.call)
			if err != nil {
				t.Fatal(err)
			}
			if got := rules.Want(c, tt.args).Allows(); got != tt.want {
				t.Errorf("%s: %s%v: allowed %v", format, tt.call, tt.args, got)
			}
		}
	}
}
