package export

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"testing"

	seccomp "github.com/seccomp/libseccomp-golang"
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
			compareFilter(t, asEngine(t, p, h), rules)
		}
	}
}

// asEngine has libseccomp make a profile's filter, as runc and crun do.
func asEngine(t *testing.T, p Profile, h Host) []unix.SockFilter {
	t.Helper()
	f, err := seccomp.NewFilter(native(p.Default))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	for _, a := range p.arches(h) {
		arch, err := seccomp.GetArchFromString(map[string]string{"SCMP_ARCH_X86_64": "amd64", "SCMP_ARCH_X86": "x86", "SCMP_ARCH_X32": "x32"}[a])
		if err != nil {
			t.Fatal(err)
		}
		if err := f.AddArch(arch); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range p.Rules {
		if !r.counts(h) || r.Action == p.Default {
			continue
		}
		for _, name := range r.Names {
			nr, err := seccomp.GetSyscallFromName(name)
			if err != nil {
				continue
			}
			for _, when := range alternatives(r.When) {
				if err := f.AddRuleConditional(nr, native(r.Action), conditions(t, when)); err != nil {
					t.Fatal(r, err)
				}
			}
		}
	}
	return exported(t, f)
}

func conditions(t *testing.T, when []policy.Condition) []seccomp.ScmpCondition {
	t.Helper()
	var out []seccomp.ScmpCondition
	for _, c := range when {
		op := []seccomp.ScmpCompareOp{seccomp.CompareEqual, seccomp.CompareNotEqual, seccomp.CompareLess, seccomp.CompareLessOrEqual,
			seccomp.CompareGreater, seccomp.CompareGreaterEqual, seccomp.CompareMaskedEqual}[c.Op]
		values := []uint64{c.Value}
		if c.Op == policy.MaskedEqual {
			values = []uint64{c.Mask, c.Value}
		}
		made, err := seccomp.MakeCondition(uint(c.Arg), op, values...)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, made)
	}
	return out
}

func native(a policy.Action) seccomp.ScmpAction {
	switch a.Kind() {
	case policy.ActAllow:
		return seccomp.ActAllow
	case policy.ActLog:
		return seccomp.ActLog
	case policy.ActKillProcess:
		return seccomp.ActKillProcess
	case policy.ActErrno:
		return seccomp.ActErrno.SetReturnCode(int16(a.Data()))
	}
	return seccomp.ActKillThread
}

func exported(t *testing.T, f *seccomp.ScmpFilter) []unix.SockFilter {
	t.Helper()
	file, err := os.Create(t.TempDir() + "/bpf")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := f.ExportBPF(file); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	insns := make([]unix.SockFilter, len(raw)/8)
	if err := binary.Read(bytes.NewReader(raw), binary.NativeEndian, insns); err != nil {
		t.Fatal(err)
	}
	return insns
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
