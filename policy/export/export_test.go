package export

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"speaker/policy"
)

func saw(t *testing.T, names ...string) []policy.Use {
	t.Helper()
	var out []policy.Use
	for _, name := range names {
		c, err := policy.ParseCall(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, policy.Use{Call: c, Count: 3})
	}
	return out
}

// small is a policy with something of everything.
func small(t *testing.T) policy.Policy {
	deny, err := policy.ParseCall("read")
	if err != nil {
		t.Fatal(err)
	}
	return policy.Derive(policy.Observed{
		policy.Boot: saw(t, "bind", "read", "clone3"),
		policy.Run:  saw(t, "accept4", "read"),
		policy.Stop: saw(t, "unlinkat"),
	}, []policy.Edit{{Op: policy.OpDeny, Call: deny, Phase: policy.Run, Note: "not\nthen \x1b[31m"}})
}

func TestText(t *testing.T) {
	const run = `accept4                  # seen in run
exit                     # essential: a thread that cannot end spins or crashes
exit_group               # essential: a process that cannot end spins or crashes
restart_syscall          # essential: the kernel resumes an interrupted sleep by it
rt_sigreturn             # essential: every signal handler returns by it
unlinkat                 # seen in stop
`
	const boot = `accept4                  # seen in run
bind                     # seen in boot
clone3                   # seen in boot
exit                     # essential: a thread that cannot end spins or crashes
exit_group               # essential: a process that cannot end spins or crashes
read                     # seen in boot,run; run: denied by hand: not?then ?[31m
restart_syscall          # essential: the kernel resumes an interrupted sleep by it
rt_sigreturn             # essential: every signal handler returns by it
unlinkat                 # seen in stop
`
	for phase, want := range map[policy.Phase]string{policy.Run: run, policy.Boot: boot} {
		var b bytes.Buffer
		if _, err := Write(&b, "text", small(t), Options{Phase: phase}); err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(b.String(), "\n")
		if want := "# " + phase.String() + " filter, abi " + policy.Native().String(); head != want {
			t.Errorf("%s: head %q, want %q", phase, head, want)
		}
		if body != want {
			t.Errorf("%s: got\n%s\nwant\n%s", phase, body, want)
		}
	}
}

func TestTextRuntime(t *testing.T) {
	var b bytes.Buffer
	if _, err := Write(&b, "text", small(t), Options{Phase: policy.Run, Runtime: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nexecve                   # container runtime\n", "crashes; container runtime\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func docker(t *testing.T, p policy.Policy, o Options) specs.LinuxSeccomp {
	t.Helper()
	var b bytes.Buffer
	if _, err := Write(&b, "docker", p, o); err != nil {
		t.Fatal(err)
	}
	var out specs.LinuxSeccomp
	dec := json.NewDecoder(&b)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDocker(t *testing.T) {
	for _, tt := range []struct {
		phase policy.Phase
		want  string
	}{
		{policy.Run, "accept4 exit exit_group restart_syscall rt_sigreturn unlinkat"},
		{policy.Boot, "accept4 bind clone3 exit exit_group read restart_syscall rt_sigreturn unlinkat"},
	} {
		got := docker(t, small(t), Options{Phase: tt.phase})
		if got.DefaultAction != specs.ActErrno || *got.DefaultErrnoRet != 1 || len(got.Syscalls) != 2 {
			t.Fatalf("%s: got %+v", tt.phase, got)
		}
		allow, enosys := got.Syscalls[0], got.Syscalls[1]
		if allow.Action != specs.ActAllow || strings.Join(allow.Names, " ") != tt.want {
			t.Errorf("%s: got %+v, want %s", tt.phase, allow, tt.want)
		}
		if enosys.Action != specs.ActErrno || *enosys.ErrnoRet != 38 || !slices.Contains(enosys.Names, "faccessat2") {
			t.Errorf("%s: got %+v", tt.phase, enosys)
		}
		// clone3 is new: what is not allowed must look as if it did not exist.
		if slices.Contains(enosys.Names, "clone3") == (tt.phase == policy.Boot) {
			t.Errorf("%s: clone3 in %q", tt.phase, enosys.Names)
		}
		if slices.ContainsFunc(allow.Names, func(n string) bool { return slices.Contains(enosys.Names, n) }) {
			t.Errorf("%s: a call is in both rules", tt.phase)
		}
	}
}

func TestDockerArchitectures(t *testing.T) {
	if policy.Native() != policy.X86_64 {
		t.Skip("foreign ABIs are those of x86_64")
	}
	if got := docker(t, small(t), Options{Phase: policy.Run}).Architectures; !slices.Equal(got, []specs.Arch{specs.ArchX86_64}) {
		t.Errorf("got %q", got)
	}
	p := policy.Derive(policy.Observed{policy.Run: saw(t, "i386:open", "read")}, nil)
	if got := docker(t, p, Options{Phase: policy.Run}).Architectures; !slices.Equal(got, []specs.Arch{specs.ArchX86_64, specs.ArchX86}) {
		t.Errorf("got %q", got)
	}
}

func TestRuntimeCallsAreAdded(t *testing.T) {
	got := docker(t, small(t), Options{Phase: policy.Run, Runtime: true}).Syscalls[0].Names
	for _, name := range append(sortedNames(RuntimeCalls()), "accept4") {
		if !slices.Contains(got, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, format := range Formats() {
		for _, tt := range []struct {
			name string
			p    policy.Policy
			o    Options
			want string
		}{
			{"no filter of that phase", small(t), Options{Phase: policy.Stop}, "phase stop has no filter"},
			{"zero options", small(t), Options{}, "phase init has no filter"},
			{"nothing allowed", policy.Policy{}, Options{Phase: policy.Run}, "run allows no call"},
		} {
			var b bytes.Buffer
			_, err := Write(&b, format, tt.p, tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) || b.Len() > 0 {
				t.Errorf("%s, %s: got %v and %d bytes, want %q", format, tt.name, err, b.Len(), tt.want)
			}
		}
		if _, err := Write(full{}, format, small(t), Options{Phase: policy.Run}); err == nil || !strings.Contains(err.Error(), "no space") {
			t.Errorf("%s on a full disk: got %v", format, err)
		}
	}
	if _, err := Write(io.Discard, "yaml", small(t), Options{Phase: policy.Run}); err == nil || !strings.Contains(err.Error(), "there are docker, ") {
		t.Errorf("unknown format: got %v", err)
	}
	nameless := policy.Derive(policy.Observed{policy.Run: saw(t, "read", "#999")}, nil)
	if _, err := Write(io.Discard, "docker", nameless, Options{Phase: policy.Run}); err == nil || !strings.Contains(err.Error(), "#999") {
		t.Errorf("call without a name: got %v", err)
	}
}
