package export

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"speaker/policy"
)

func readFile(t *testing.T, name, format string) Profile {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	p, warnings, err := Read(data, "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Format != format || len(warnings) > 0 {
		t.Errorf("%s: read as %s, %q", name, p.Format, warnings)
	}
	return p
}

func call(t *testing.T, name string) policy.Call {
	t.Helper()
	c, err := policy.ParseCall(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What others ship is read whole, and means what its text says.
func TestReadDefaults(t *testing.T) {
	const newNS = 0x10000000 // CLONE_NEWUSER
	caps := DefaultCaps()
	for _, tt := range []struct {
		file, format string
		caps         []string
		call         string
		arg          uint64
		want         string
	}{
		{"docker-20.10.json", "docker", caps, "read", 0, "allow"},
		{"docker-20.10.json", "docker", caps, "clone", 0, "allow"},
		{"docker-20.10.json", "docker", caps, "clone", newNS, "EPERM"},
		{"docker-20.10.json", "docker", caps, "clone", newNS << 8, "allow"},
		{"docker-20.10.json", "docker", append(caps, "CAP_SYS_ADMIN"), "clone", newNS, "allow"},
		{"docker-20.10.json", "docker", caps, "clone3", 0, "ENOSYS"},
		{"docker-20.10.json", "docker", append(caps, "CAP_SYS_ADMIN"), "clone3", 0, "allow"},
		{"docker-20.10.json", "docker", caps, "personality", 8, "allow"},
		{"docker-20.10.json", "docker", caps, "personality", 9, "EPERM"},
		{"docker-20.10.json", "docker", caps, "mount", 0, "EPERM"},
		{"docker-20.10.json", "docker", caps, "ptrace", 0, "allow"}, // minKernel 4.8
		{"docker-20.10.json", "docker", caps, "i386:socketcall", 1, "allow"},
		{"docker-20.10.json", "docker", caps, "x32:read", 0, "allow"},
		{"docker-20.10.json", "docker", caps, "#4000", 0, "ENOSYS"},
		{"docker-latest.json", "docker", caps, "socket", 40, "EPERM"},
		{"docker-latest.json", "docker", caps, "socket", 2, "allow"},
		{"podman.json", "podman", caps, "init_module", 0, "EPERM"},
		{"podman.json", "podman", caps, "socket", 16, "allow"},
		{"podman.json", "podman", caps, "#4000", 0, "ENOSYS"},
	} {
		p := readFile(t, tt.file, tt.format)
		rules, warnings, err := p.Resolve(Host{ABI: policy.X86_64, Caps: tt.caps, Kernel: "6.1.0-39-amd64"})
		if err != nil {
			t.Fatal(tt.file, err)
		}
		for _, text := range warnings {
			if !strings.HasSuffix(text, ": riscv_hwprobe") && !strings.HasPrefix(text, "setns: EPERM counts for nothing") {
				t.Errorf("%s: %s", tt.file, text)
			}
		}
		c := call(t, strings.ReplaceAll(tt.call, "native:", ""))
		if got := rules.Want(c, policy.Args{tt.arg}); got.String() != tt.want {
			t.Errorf("%s: %s with %#x: got %s, want %s; of %v", tt.file, c, tt.arg, got, tt.want, rules.Of(c))
		}
	}
}

// Limits decide which rules count.
func TestLimits(t *testing.T) {
	const text = `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["ptrace"],"action":"SCMP_ACT_ALLOW",%s}]}`
	for _, tt := range []struct {
		limit, kernel string
		counts        bool
	}{
		{`"includes":{"minKernel":"4.8"}`, "4.7.9", false},
		{`"includes":{"minKernel":"4.8"}`, "4.8", true},
		{`"includes":{"minKernel":"4.8"}`, "4.10.3-generic", true},
		{`"includes":{"minKernel":"4.8"}`, "", true},
		{`"excludes":{"minKernel":"4.8"}`, "5.0", false},
		{`"excludes":{"minKernel":"4.8"}`, "3.10", true},
		{`"includes":{"arches":["arm64"]}`, "", false},
		{`"includes":{"arches":["arm64","amd64"]}`, "", true},
		{`"excludes":{"arches":["amd64"]}`, "", false},
		{`"includes":{"caps":["CAP_KILL"]}`, "", true},
		{`"includes":{"caps":["CAP_KILL","CAP_BPF"]}`, "", false},
		{`"excludes":{"caps":["CAP_BPF","CAP_KILL"]}`, "", false},
		{`"excludes":{"caps":["CAP_BPF"]}`, "", true},
	} {
		p, _, err := Read(fmt.Appendf(nil, text, tt.limit), "")
		if err != nil {
			t.Fatal(tt.limit, err)
		}
		rules, _, err := p.Resolve(Host{ABI: policy.X86_64, Caps: DefaultCaps(), Kernel: tt.kernel})
		if err != nil {
			t.Fatal(err)
		}
		if allow, _ := rules.Allowed(); allow.Len() == 1 != tt.counts {
			t.Errorf("%s on %q: allowed %s", tt.limit, tt.kernel, allow)
		}
	}
}

func TestReadActions(t *testing.T) {
	const text = `{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_LOG","listenerPath":"/run/l","listenerMetadata":"m",
		"flags":["SECCOMP_FILTER_FLAG_LOG"],"syscalls":[
		{"names":["a"],"action":"SCMP_ACT_KILL"},{"names":["a"],"action":"SCMP_ACT_KILL_THREAD"},
		{"names":["a"],"action":"SCMP_ACT_KILL_PROCESS"},{"names":["a"],"action":"SCMP_ACT_TRAP"},
		{"names":["a"],"action":"SCMP_ACT_TRACE","errnoRet":7},{"names":["a"],"action":"SCMP_ACT_NOTIFY"},
		{"names":["a"],"action":"SCMP_ACT_ERRNO"},{"names":["a"],"action":"SCMP_ACT_ERRNO","errnoRet":22}]}}}`
	p, warnings, err := Read([]byte(text), "")
	if err != nil || len(warnings) > 0 || p.Format != "oci" {
		t.Fatal(p.Format, warnings, err)
	}
	var got []string
	for _, r := range p.Rules {
		got = append(got, fmt.Sprintf("%s/%d", r.Action, r.Action.Data()))
	}
	want := []string{"kill thread/0", "kill thread/0", "kill process/0", "trap/0", "trace/7", "notify/0", "EPERM/1", "EINVAL/22"}
	if !slices.Equal(got, want) || p.Default != policy.ActLog || p.Listener != "/run/l" || p.ListenerMetadata != "m" || len(p.Flags) != 1 {
		t.Errorf("got %q, %+v", got, p)
	}
}

// What is wrong is one line, and what a filter cannot show is told.
func TestReadRefuses(t *testing.T) {
	rule := func(fields string) string {
		return `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{` + fields + `}]}`
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "not recognised as one of"},
		{"noise", "\x00\xff\x1b[31m", "not recognised"},
		{"cut", `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"na`, "no JSON from byte 50 on"},
		{"null", "null", "not recognised"},
		{"empty", `{"syscalls":[]}`, "no default action"},
		{"no filter", `{"ociVersion":"1.0","linux":{}}`, "runs without a filter"},
		{"unknown action", `{"defaultAction":"SCMP_ACT_NO\u001b"}`, `no action "SCMP_ACT_NO\x1b"`},
		{"kind", `{"defaultAction":[]}`, "defaultAction cannot be this: array"},
		{"no strace", "garbage(1) = 0\n", "no call that there is"},
		{"negative", rule(`"names":["a"],"action":"SCMP_ACT_ALLOW","args":[{"index":-1}]`), "cannot be this: number -1"},
		{"index", rule(`"names":["a"],"action":"SCMP_ACT_ALLOW","args":[{"index":6,"op":"SCMP_CMP_EQ"}]`), "argument 6"},
		{"comparison", rule(`"names":["a"],"action":"SCMP_ACT_ALLOW","args":[{"op":"SCMP_CMP_XX"}]`), `no comparison "SCMP_CMP_XX"`},
		{"error", `{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}`, "above 4095"},
		{"error name", `{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENO"}`, `no error "ENO"`},
		{"errors differ", `{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"EPERM","defaultErrnoRet":2}`, "2 is not EPERM"},
		{"both names", rule(`"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"`), "both name and names"},
		{"no name", rule(`"action":"SCMP_ACT_ALLOW"`), "rule 1 names no call"},
		{"hostile name", rule(`"names":["a b"],"action":"SCMP_ACT_ALLOW"`), `"a b" is no name`},
		{"both lists", `{"defaultAction":"SCMP_ACT_ERRNO","architectures":["a"],"archMap":[{}]}`, "both architectures and archMap"},
		{"version", rule(`"names":["a"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"new"}`), `minKernel "new"`},
		{"never", rule(`"names":["a"],"action":"SCMP_ACT_ALLOW","args":[{"op":"SCMP_CMP_LT","value":0}]`), "never holds"},
		{"huge", strings.Repeat(" ", MaxSize+1), "8388609 bytes"},
		{"deep", `{"defaultAction":"SCMP_ACT_ERRNO","x":` + strings.Repeat("[", 1<<20), "exceeded max depth"},
		{"many names", rule(`"names":[` + strings.Repeat(`"a",`, maxNames) + `"a"],"action":"SCMP_ACT_ALLOW"`), "16385 names"},
		{"many tests", rule(`"names":["a"],"action":"SCMP_ACT_ALLOW","args":[` + strings.Repeat(`{"op":"SCMP_CMP_EQ"},`, 64) + `{"op":"SCMP_CMP_EQ"}]`), "65 conditions"},
	} {
		_, _, err := Read([]byte(tt.text), "")
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 300 {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, _, err := Read([]byte("{}"), "yaml"); err == nil || !strings.Contains(err.Error(), `no format "yaml", there are oci, `) {
		t.Errorf("unknown format: got %v", err)
	}
}

func TestResolveRefuses(t *testing.T) {
	const arg = `"args":[{"index":0,"value":%d,"op":"SCMP_CMP_%s"}]`
	for _, tt := range []struct{ name, rules, want string }{
		{"twice", `{"names":["read"],"action":"SCMP_ACT_ALLOW"},{"names":["read"],"action":"SCMP_ACT_LOG"}`, ""},
		{"overlap", `{"names":["read"],"action":"SCMP_ACT_ALLOW",` + fmt.Sprintf(arg, 8, "LT") + `},{"names":["read"],"action":"SCMP_ACT_LOG",` + fmt.Sprintf(arg, 7, "GE") + `}`,
			"read: allow if arg0 < 0x8, and also read: log if arg0 >= 0x7"},
		{"beside each other", `{"names":["read"],"action":"SCMP_ACT_ALLOW",` + fmt.Sprintf(arg, 8, "LT") + `},{"names":["read"],"action":"SCMP_ACT_LOG",` + fmt.Sprintf(arg, 8, "GE") + `}`, ""},
		{"always wins", `{"names":["read"],"action":"SCMP_ACT_ALLOW"},{"names":["read"],"action":"SCMP_ACT_LOG",` + fmt.Sprintf(arg, 8, "GE") + `}`, ""},
	} {
		p, _, err := Read([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[`+tt.rules+`]}`), "")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = p.Resolve(Host{ABI: policy.Native()})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Of two rules that always hold the first counts, as in libseccomp.
func TestResolveFirst(t *testing.T) {
	p, _, err := Read([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG"},{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}`), "")
	if err != nil {
		t.Fatal(err)
	}
	rules, warnings, err := p.Resolve(Host{ABI: policy.Native()})
	if err != nil || len(warnings) != 1 || rules.Want(call(t, "read"), policy.Args{}) != policy.ActLog {
		t.Errorf("got %v, %q, %v", rules.All(), warnings, err)
	}
}

func TestReadWarns(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86","SCMP_ARCH_\u001b"]}`, `"SCMP_ARCH_\x1b" is no architecture`},
		{`{"defaultAction":"SCMP_ACT_NOTIFY"}`, "no listenerPath"},
		{`{"defaultAction":"SCMP_ACT_ALLOW","zzz":1}`, `"zzz"`},
		{`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","args":[{"op":"SCMP_CMP_EQ"},{"op":"SCMP_CMP_NE"}]}]}`, "enough by itself"},
		{`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","args":[{"op":"SCMP_CMP_MASKED_EQ","value":1,"valueTwo":3}]}]}`, "takes away"},
	} {
		_, warnings, err := Read([]byte(tt.text), "docker")
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], tt.want) {
			t.Errorf("%s: got %q, %v", tt.text, warnings, err)
		}
	}
	p, _, err := Read([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read","reed","arm_fadvise64_64"],"action":"SCMP_ACT_ALLOW"}]}`), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, warnings, err := p.Resolve(Host{ABI: policy.Native()}); err != nil || len(warnings) != 1 || !strings.HasSuffix(warnings[0], ": reed") {
		t.Errorf("got %q, %v", warnings, err)
	}
}
