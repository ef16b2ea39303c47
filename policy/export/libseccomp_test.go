package export

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// What Resolve says of a profile is held against what libseccomp makes of it when
// it is asked as engines ask it.
func TestResolveAsLibseccomp(t *testing.T) {
	if policy.Native() != policy.X86_64 {
		t.Skip("the answers of other ABIs are those of an x86_64 machine")
	}
	for _, file := range []string{"docker-20.10.json", "docker-latest.json", "podman.json"} {
		for _, caps := range [][]string{nil, DefaultCaps(), {"CAP_SYS_ADMIN", "CAP_AUDIT_WRITE", "CAP_BPF"}} {
			data, err := os.ReadFile("testdata/" + file)
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := Read(data, "")
			if err != nil {
				t.Fatal(err)
			}
			h := Host{ABI: policy.Native(), Caps: caps, Kernel: "6.1", Crun: true, Knows: known}
			rules, _, err := p.Resolve(h)
			if err != nil {
				t.Fatal(err)
			}
			f, _, err := asEngine(p, h)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := memory(f.ExportBPF)
			f.Release()
			if err != nil {
				t.Fatal(err)
			}
			insns, err := policy.Decode(raw)
			if err != nil {
				t.Fatal(err)
			}
			compareFilter(t, insns, rules)
		}
	}
}

// compareFilter runs a filter for every number of every ABI of the machine and the
// argument cases of the rules.
func compareFilter(t *testing.T, insns []unix.SockFilter, rules policy.Rules) {
	t.Helper()
	cases := 0
	for _, abi := range []policy.ABI{policy.X86_64, policy.I386, policy.X32} {
		for nr := range uint32(1024) {
			c := policy.Call{ABI: abi, Nr: nr}
			for _, args := range policy.Edges(rules.Of(c)) {
				d := policy.DataOf(c)
				d.Args = args
				got, err := policy.Eval(insns, d)
				if err != nil {
					t.Fatal(err)
				}
				cases++
				if want := rules.Want(c, args); got != want {
					t.Errorf("%s%#x: the filter says %s, the rules %s", c, args, got, want)
				}
			}
		}
	}
	if cases < 3*1024 {
		t.Errorf("%d cases", cases)
	}
	t.Logf("%d cases", cases)
}
