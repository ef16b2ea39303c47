package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	seccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/tui/bench"
)

const profiles = "policy/export/testdata/"

var idle = server{command: []string{"sleep", "600"}}

// What is made of a profile is what the engine makes of it: the filter of a real
// container answers every call of every ABI as the profile that it was started
// with, at all arguments where an answer could change, whatever its capabilities.
func TestRealFilters(t *testing.T) {
	needServers(t)
	own, native := []string{}, nativeOnly(t)
	if !strings.HasPrefix(docker(t, "version", "--format", "{{.Server.Version}}"), "20.10.") {
		own = nil // its own profile is another than the one that is here
	}
	for _, tt := range []struct {
		name, file string
		flags      []string
		caps       []string
	}{
		{"own", "docker-20.10.json", own, export.DefaultCaps()},
		{"given", "docker-20.10.json", seccompFlag("docker-20.10.json"), export.DefaultCaps()},
		{"newer", "docker-latest.json", seccompFlag("docker-latest.json"), export.DefaultCaps()},
		{"more power", "docker-20.10.json", append(seccompFlag("docker-20.10.json"), "--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE"),
			append(export.DefaultCaps(), "CAP_SYS_ADMIN", "CAP_SYS_PTRACE")},
		{"native alone", native, seccompFlag(native), export.DefaultCaps()},
		{"no power", "docker-latest.json", append(seccompFlag("docker-latest.json"), "--cap-drop", "ALL"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.flags == nil {
				t.Skip("this Docker's own profile is not among those in " + profiles)
			}
			const name = "speaker-e2e-filters"
			startContainer(t, name, idle, tt.flags...)
			_, stacks, unseen, err := bench.New(bench.Options{}).Inspect(soon(t), "docker:"+name)
			if err != nil || len(unseen) > 0 || len(stacks) != 1 || len(stacks[0].Filters) != 1 {
				t.Fatalf("%d stacks, %v, %v", len(stacks), unseen, err)
			}
			rules := resolved(t, tt.file, tt.caps)
			v, err := policy.VerifyAll(stacks[0].Filters, rules)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range v.Differ {
				t.Errorf("the container's filter: %s", m)
			}
			t.Logf("%d cases of %d calls", v.Cases, v.Calls)
			compiled, err := policy.CompileRules(rules)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := policy.Verify(compiled, rules); err != nil || !v.OK() {
				t.Errorf("the profile compiled here: %v, %v", v.Differ, err)
			}
			found(t, stacks[0].Filters, rules)
		})
	}
}

// nativeOnly is a profile for the native ABI alone, as export writes them.
func nativeOnly(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(profiles + "docker-20.10.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"SCMP_ARCH_X86\"", "SCMP_ARCH_X32\""} {
		data = bytes.ReplaceAll(data, []byte(sub), []byte(`SCMP_ARCH_X86_64"`))
	}
	path := filepath.Join(t.TempDir(), "native.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func seccompFlag(file string) []string {
	return []string{"--security-opt", "seccomp=" + profilePath(file)}
}

func profilePath(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(profiles, file)
}

// resolved is what the engine makes of a profile, whose libseccomp is this one.
func resolved(t *testing.T, file string, caps []string) policy.Rules {
	t.Helper()
	data, err := os.ReadFile(profilePath(file))
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := export.Read(data, "")
	if err != nil {
		t.Fatal(err)
	}
	h := export.Host{ABI: policy.Native(), Caps: caps, Knows: func(name string) bool {
		_, err := seccomp.GetSyscallFromName(name)
		return err == nil
	}}
	rules, _, err := p.Resolve(h)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// found holds what is found out of a filter against the rules that it was made of.
func found(t *testing.T, chain [][]unix.SockFilter, rules policy.Rules) {
	t.Helper()
	p, notes, err := export.OfFilters(chain, policy.Native())
	if err != nil || len(notes) > 0 {
		t.Fatal(notes, err)
	}
	again, _, err := p.Resolve(export.Host{ABI: policy.Native()})
	if err != nil {
		t.Fatal(err)
	}
	for _, abi := range rules.ABIs() {
		for _, c := range policy.Calls(abi) {
			for _, args := range policy.Edges(append(rules.Of(c), again.Of(c)...)) {
				if got, want := again.Want(c, args), rules.Want(c, args); got != want {
					t.Errorf("%s%#x: found out %s, is %s", c, args, got, want)
				}
			}
		}
	}
}

// The command prints what a container has, and whether a profile says the same.
func TestInspect(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-inspect"
	startContainer(t, name, idle, seccompFlag("docker-20.10.json")...)
	out := output(t, speaker(t, "inspect", name))
	for _, want := range []string{"1 thread of 1 process (sleep, pid ", "1 filter, ", "\n  x86_64, calls without a name: ENOSYS\n", "    EPERM, ",
		"      clone: allow if arg0 & 0x7e020000 == 0x0; else EPERM\n", "personality: allow if arg0 == 0x0; allow if arg0 == 0x8;"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out := output(t, speaker(t, "inspect", name, "--against", profiles+"docker-20.10.json")); !strings.Contains(out, "as the profile says: ") {
		t.Errorf("got %s", out)
	}
	other, err := speaker(t, "inspect", name, "--against", profiles+"docker-20.10.json", "--caps", "sys_admin").CombinedOutput()
	if err == nil || !strings.Contains(string(other), "mount: has EPERM, profile says allow") || !strings.Contains(string(other), "the filters are not what the profile says") {
		t.Errorf("got %v, %s", err, other)
	}
	startContainer(t, name, idle, "--security-opt", "seccomp=unconfined")
	if out := output(t, speaker(t, "inspect", name)); !strings.Contains(out, "0 filters, 0 instructions\n  every call is allowed") {
		t.Errorf("got %s", out)
	}
}
