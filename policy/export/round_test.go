package export

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"speaker/policy"
)

// rich is a profile with something of everything that a filter can answer.
const rich = `@default: EPERM
@newer: ENOSYS
@abis: x86_64 i386
read
write: log
openat: EACCES
clone: allow if arg0 & 0x7e020000 == 0x0
clone3: ENOSYS
socket: allow if arg0 == 0x2 and arg1 != 0x3
socket: allow if arg0 == 0x1
personality: allow if arg0 == 0xffffffff
ioctl: kill process if arg1 >= 0x5412
mount: kill thread
ptrace: trap
prctl: errno 133 if arg0 <= 0x10
bpf: trace 7
exit_group
`

func readString(t *testing.T, text, format string) (Profile, []string) {
	t.Helper()
	p, warnings, err := Read([]byte(text), format)
	if err != nil {
		t.Fatalf("%v in\n%.2000s", err, text)
	}
	return p, warnings
}

// same holds two profiles' answers against each other, for every call and at every
// edge of either's conditions.
func same(t *testing.T, name string, a, b Profile) {
	t.Helper()
	h := here()
	one, _, err := a.Resolve(h)
	if err != nil {
		t.Fatal(name, err)
	}
	two, _, err := b.Resolve(h)
	if err != nil {
		t.Fatal(name, err)
	}
	for _, abi := range allABIs {
		for nr := range uint32(1024) {
			c := policy.Call{ABI: abi, Nr: nr}
			for _, args := range policy.Edges(append(one.Of(c), two.Of(c)...)) {
				if x, y := one.Want(c, args), two.Want(c, args); x != y {
					t.Errorf("%s: %s%#x: %s became %s", name, c, args, x, y)
					return
				}
			}
		}
	}
}

// What is written and read again answers as before, in every form that can say it.
func TestRoundTrip(t *testing.T) {
	if policy.Native() != policy.X86_64 {
		t.Skip("the profile is for an x86_64 machine")
	}
	p, _ := readString(t, rich, "text")
	for _, format := range Formats() {
		if format == "systemd" || format == "pfc" { // has no conditions; see TestReadPFC
			continue
		}
		t.Run(format, func(t *testing.T) {
			var b bytes.Buffer
			warnings, err := WriteProfile(&b, format, p)
			if err != nil {
				t.Fatal(err)
			}
			back, _ := readString(t, b.String(), "")
			if back.Format != format && !(format == "cri" && back.Format == "docker") {
				t.Errorf("recognised as %s", back.Format)
			}
			same(t, format, p, back)
			var again bytes.Buffer
			if _, err := WriteProfile(&again, format, back); err != nil {
				t.Fatal(err)
			}
			if format != "bpf" && again.String() != b.String() {
				t.Errorf("written again it is\n%s, was\n%s", again.String(), b.String())
			}
			if format == "spo" != (len(warnings) == 1 && strings.Contains(warnings[0], "errnoRet")) {
				t.Errorf("warnings: %q", warnings)
			}
		})
	}
}

// The shipped profiles keep their meaning, limits and all.
func TestRoundTripDefaults(t *testing.T) {
	for _, file := range []string{"docker-20.10.json", "docker-latest.json", "podman.json"} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := readString(t, string(data), "")
		for _, format := range Formats() {
			if format == "systemd" || format == "pfc" {
				continue
			}
			var b bytes.Buffer
			warnings, err := WriteProfile(&b, format, p)
			if err != nil {
				t.Fatal(file, format, err)
			}
			back, _ := readString(t, b.String(), "")
			limits := format == "docker" || format == "podman"
			if told := len(warnings) > 0 && strings.Contains(warnings[0], "for which hosts"); told == limits {
				t.Errorf("%s as %s: warnings %q", file, format, warnings)
			}
			if limits && fmt.Sprint(p.Rules, p.ArchMap) != fmt.Sprint(back.Rules, back.ArchMap) {
				t.Errorf("%s as %s: rules differ", file, format)
			}
			if format != "spo" { // cannot say Podman's default
				same(t, file+" as "+format, p, back)
			}
		}
	}
}

// A policy means the same in every form.
func TestRoundTripPolicy(t *testing.T) {
	p, err := Of(small(t), Options{Phase: policy.Boot, Runtime: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range Formats() {
		if format == "systemd" || format == "pfc" {
			continue
		}
		var b bytes.Buffer
		if _, err := Write(&b, format, small(t), Options{Phase: policy.Boot, Runtime: true}); err != nil {
			t.Fatal(format, err)
		}
		back, warnings := readString(t, b.String(), "")
		if len(warnings) > 0 {
			t.Errorf("%s: %q", format, warnings)
		}
		same(t, format, p, back)
	}
}

// What systemd's form cannot say is said to be lost.
func TestSystemd(t *testing.T) {
	p, _ := readString(t, rich, "text")
	var b bytes.Buffer
	warnings, err := WriteProfile(&b, "systemd", p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SystemCallArchitectures=native x86\n", "SystemCallErrorNumber=EPERM\n", "SystemCallFilter=\nSystemCallFilter=clone ",
		"SystemCallFilter=~", " clone3:ENOSYS ", " openat:EACCES ", "mount:kill"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	said := strings.Join(warnings, "\n")
	for _, want := range []string{"write is allowed without a log", "allowed whatever the arguments: clone personality socket",
		"ioctl is not denied for some arguments", "ptrace is killed: the format has no trap", "bpf is killed: the format has no trace", "group @default in every list"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	back, more := readString(t, b.String(), "")
	if back.Format != "systemd" || len(more) > 0 {
		t.Errorf("read as %s, %q", back.Format, more)
	}
	rules, _, err := back.Resolve(here())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"read": "allow", "clone": "allow", "clone3": "ENOSYS", "openat": "EACCES", "mount": "kill process",
		"mmap": "allow", "bind": "EPERM", "i386:read": "allow", "x32:read": "kill thread"} {
		if got := rules.Want(call(t, name), policy.Args{}); got.String() != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestReadSystemd(t *testing.T) {
	for _, tt := range []struct {
		unit string
		want map[string]string
	}{
		{"[Service]\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\nSystemCallErrorNumber=EPERM\n",
			map[string]string{"read": "allow", "chroot": "EPERM", "setrlimit": "EPERM", "mmap": "allow", "reboot": "EPERM"}},
		{"[Service]\nSystemCallFilter=~@mount ptrace:EACCES\n", map[string]string{"mount": "kill process", "ptrace": "EACCES", "read": "allow"}},
		{"[Service]\nSystemCallFilter=read write\nSystemCallFilter=~write\n", map[string]string{"read": "allow", "write": "kill process", "execve": "allow"}},
		{"[Service]\nSystemCallFilter=read\nSystemCallFilter=\nSystemCallFilter=~read\n", map[string]string{"read": "kill process", "write": "allow"}},
		{"[Service]\nSystemCallFilter=read \\\n  write\n", map[string]string{"write": "allow"}},
	} {
		p, warnings := readString(t, tt.unit, "")
		if len(warnings) > 0 {
			t.Errorf("%q: %q", tt.unit, warnings)
		}
		rules, _, err := p.Resolve(here())
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range tt.want {
			if got := rules.Want(call(t, name), policy.Args{}); got.String() != want {
				t.Errorf("%q: %s: got %s, want %s", tt.unit, name, got, want)
			}
		}
	}
	for unit, want := range map[string]string{
		"SystemCallFilter=\n":                                       "the unit has no filter",
		"SystemCallFilter=~read:ENOTHING\n":                         `line 1: no error "ENOTHING"`,
		"SystemCallFilter=r\x1bd\n":                                 `line 1: "r\x1bd" is no name`,
		"SystemCallFilter=" + strings.Repeat("@known ", maxNames+1): "more than 16384 names",
	} {
		if _, _, err := Read([]byte(unit), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: got %v, want %s", unit, err, want)
		}
	}
}

// systemd's own parser finds nothing to say about a drop-in.
func TestSystemdVerify(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze")
	}
	dir := t.TempDir()
	unit := filepath.Join(dir, "speaker-test.service")
	for name, p := range map[string]func(w *bytes.Buffer) error{
		"policy": func(w *bytes.Buffer) error {
			_, err := Write(w, "systemd", small(t), Options{Phase: policy.Boot, Runtime: true})
			return err
		},
		"rich": func(w *bytes.Buffer) error {
			p, _ := readString(t, rich, "text")
			_, err := WriteProfile(w, "systemd", p)
			return err
		},
	} {
		var b bytes.Buffer
		if err := p(&b); err != nil {
			t.Fatal(err)
		}
		text := "[Unit]\nDescription=test\n" + b.String() + "ExecStart=/bin/true\n"
		if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--generators=no", "--recursive-errors=no", unit).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			// Calls newer than systemd's libseccomp stay with the default.
			if strings.Contains(line, "speaker-test") && !strings.Contains(line, "Failed to parse system call, ignoring") {
				t.Errorf("%s: %s", name, line)
			}
		}
		if err != nil && len(out) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		out, err = exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", unit).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "SystemCallFilter=~@") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if !strings.Contains(string(out), "System call allow list defined for service, and @obsolete is not included") &&
			!strings.Contains(string(out), "System call allow list defined for service, and @clock is not included") {
			t.Errorf("%s: systemd sees no list of allowed calls: %s", name, out)
		}
	}
}

// The operator's objects are as its schema asks.
func TestSPOSchema(t *testing.T) {
	text, err := os.ReadFile("testdata/spo-schema.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := yaml.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	p, _ := readString(t, rich, "text")
	p.Flags, p.Listener = []string{"SECCOMP_FILTER_FLAG_LOG"}, "/run/agent.sock"
	var b bytes.Buffer
	if _, err := WriteProfile(&b, "spo", p); err != nil {
		t.Fatal(err)
	}
	var object struct {
		APIVersion string         `yaml:"apiVersion"`
		Kind       string         `yaml:"kind"`
		Spec       map[string]any `yaml:"spec"`
	}
	if err := yaml.Unmarshal(b.Bytes(), &object); err != nil {
		t.Fatal(err)
	}
	if object.APIVersion != spoVersion || object.Kind != spoKind {
		t.Errorf("it is a %s of %s", object.Kind, object.APIVersion)
	}
	validate(t, "spec", schema, object.Spec)
	object.Spec["defaultAction"] = "SCMP_ACT_SOME"
	if problems(schema, object.Spec) == nil {
		t.Error("the schema takes anything")
	}
}

func validate(t *testing.T, at string, schema map[string]any, v any) {
	t.Helper()
	for _, p := range problems(schema, v) {
		t.Errorf("%s%s", at, p)
	}
}

// problems holds a value against the part of JSON Schema that the operator uses.
func problems(schema map[string]any, v any) (out []string) {
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		return []string{fmt.Sprintf(": %v is none of %v", v, enum)}
	}
	switch v := v.(type) {
	case map[string]any:
		props, _ := schema["properties"].(map[string]any)
		for key, x := range v {
			sub, ok := props[key].(map[string]any)
			if keys, open := schema["keys"].(string); open && regexp.MustCompile(keys).MatchString(key) {
				sub, ok = schema["additionalProperties"].(map[string]any)
			}
			if !ok {
				out = append(out, fmt.Sprintf(": no property %s", key))
				continue
			}
			for _, p := range problems(sub, x) {
				out = append(out, "."+key+p)
			}
		}
		required, _ := schema["required"].([]any)
		for _, key := range required {
			if _, ok := v[key.(string)]; !ok {
				out = append(out, fmt.Sprintf(": lacks %s", key))
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		if most, ok := schema["maxItems"].(int); ok && len(v) > most {
			out = append(out, ": too many")
		}
		for i, x := range v {
			for _, p := range problems(items, x) {
				out = append(out, fmt.Sprintf("[%d]%s", i, p))
			}
		}
	case string:
		if schema["type"] != "string" {
			out = append(out, fmt.Sprintf(": %q is no %s", v, schema["type"]))
		}
		if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
			out = append(out, fmt.Sprintf(": %q is not of the form %s", v, pattern))
		}
	case int:
		if schema["type"] != "integer" || v < 0 {
			out = append(out, fmt.Sprintf(": %d is no %s", v, schema["type"]))
		}
	}
	return out
}

// The pod's part is with the file for the node, whose name it has, and both are as
// Kubernetes' schema asks.
func TestKubernetes(t *testing.T) {
	text, err := os.ReadFile("testdata/kubernetes-schema.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]map[string]any
	if err := yaml.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	p, _ := readString(t, rich, "text")
	for _, name := range []string{"My App!", "", "../../etc/passwd", "-.-", strings.Repeat("x", 300)} {
		p.Name = name
		var b bytes.Buffer
		if _, err := WriteProfile(&b, "kubernetes", p); err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := yaml.Unmarshal(b.Bytes(), &object); err != nil {
			t.Fatal(err)
		}
		validate(t, "ConfigMap", schema["configMap"], object)
		_, pod, _ := strings.Cut(b.String(), "\n#\n")
		pod, _, _ = strings.Cut(pod, "\napiVersion:")
		var part struct {
			SecurityContext map[string]any `yaml:"securityContext"`
		}
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(pod, "#   ", "")), &part); err != nil {
			t.Fatal(err)
		}
		validate(t, "securityContext", schema["securityContext"], part.SecurityContext)
		profile, _ := part.SecurityContext["seccompProfile"].(map[string]any)
		file, _ := strings.CutPrefix(fmt.Sprint(profile["localhostProfile"]), "profiles/")
		data, _ := object["data"].(map[string]any)
		if _, ok := data[file]; !ok || !strings.Contains(b.String(), "/var/lib/kubelet/seccomp/profiles/"+file+",") {
			t.Errorf("%q: the pod asks for %q, and there is %.100v\n%.400s", name, file, data, b.String())
		}
		if name == "My App!" && file != "my-app.json" {
			t.Errorf("the file is %s", file)
		}
	}
	if problems(schema["configMap"], map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "A"}, "data": map[string]any{"a/b": ""}}) == nil {
		t.Error("the schema takes anything")
	}
}

// Who listens to notified calls, and what it is told, is kept where there is a place
// for it, and told to be lost elsewhere.
func TestRoundTripListener(t *testing.T) {
	p, _ := readString(t, "read\nmount: notify\n", "text")
	p.Listener, p.ListenerMetadata, p.Flags = "/run/agent.sock", "web-1", []string{"SECCOMP_FILTER_FLAG_LOG"}
	for _, format := range Formats() {
		var b bytes.Buffer
		warnings, err := WriteProfile(&b, format, p)
		if err != nil {
			t.Fatal(format, err)
		}
		if slices.ContainsFunc(warnings, func(s string) bool { return strings.Contains(s, "no place for a listener") }) {
			continue
		}
		back, _ := readString(t, b.String(), "")
		if back.Listener != p.Listener || back.ListenerMetadata != p.ListenerMetadata || !slices.Equal(back.Flags, p.Flags) {
			t.Errorf("%s: it became %q, %q, %q", format, back.Listener, back.ListenerMetadata, back.Flags)
		}
	}
}

func TestPFC(t *testing.T) {
	p, _ := readString(t, rich, "text")
	var b bytes.Buffer
	if _, err := WriteProfile(&b, "pfc", p); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`# filter for syscall "clone"`, "if ($a0.lo32 & 0x7e020000 == 0)", "action ERRNO(38);", "action KILL;"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%.1500s", want, b.String())
		}
	}
}

// Calls without a name go where numbers are understood, and nowhere else.
func TestNumbers(t *testing.T) {
	p, _ := readString(t, "read\n#999\n#1000: ENOSYS if arg0 == 0x1\n", "")
	for _, format := range Formats() {
		var b bytes.Buffer
		warnings, err := WriteProfile(&b, format, p)
		switch format {
		case "text", "bpf":
			back, _ := readString(t, b.String(), "")
			same(t, format, p, back)
		case "systemd", "pfc":
			if err != nil || len(warnings) == 0 || !strings.Contains(strings.Join(warnings, ""), "#999") {
				t.Errorf("%s: %q, %v", format, warnings, err)
			}
		default:
			if err == nil || !strings.Contains(err.Error(), "#999") {
				t.Errorf("%s: %v", format, err)
			}
		}
	}
}

func TestReadStrace(t *testing.T) {
	for name, text := range map[string]string{
		"plain":   "execve(\"/bin/true\", [\"true\"], 0x7ffd /* 35 vars */) = 0\nopenat(AT_FDCWD, \"x\", O_RDONLY) = 3\n+++ exited with 0 +++\n",
		"pids":    "30607 execve(\"/bin/true\") = 0\n30608 openat(AT_FDCWD <unfinished ...>\n30607 <... openat resumed>) = 3\n",
		"follow":  "execve(\"/x\") = 0\n[pid  12] openat(AT_FDCWD) = 1\nstrace: Process 12 attached\n",
		"times":   "12 12:00:01.123456 execve(\"/x\") = 0\n12 1700000000.123 openat(3) = 0\n",
		"summary": "% time     seconds  usecs/call     calls    errors syscall\n------ ----------- ----------- --------- --------- ----------------\n 96.00    0.000004           4         1           execve\n  0.72    0.000003           3         1         1 openat\n------ ----------- ----------- --------- --------- ----------------\n100.00    0.000417          14        29         1 total\n",
	} {
		p, warnings := readString(t, text, "")
		if p.Format != "strace" || len(warnings) != 1 || !slices.Equal(p.Rules[0].Names, []string{"execve", "openat"}) {
			t.Errorf("%s: %s, %q, %+v", name, p.Format, warnings, p.Rules)
		}
	}
	p, _ := readString(t, "strace: [ Process PID=7 runs in 32 bit mode. ]\n7 open(\"x\") = 3\n8 read(0) = 1\n8 syscall_0x1f4(1) = -1 ENOSYS\n8 syscall_0xfffff(1) = -1 ENOSYS\n", "strace")
	if got := fmt.Sprint(p.Rules[0].Names); got != "[x86_64:#500 i386:open x86_64:read]" && policy.Native() == policy.X86_64 {
		t.Errorf("got %s", got)
	}
}

// What a real strace prints of a real program is what it calls.
func TestRealStrace(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("no strace")
	}
	for _, flags := range [][]string{{"-f"}, {"-f", "-tt"}, {"-c"}, {"-f", "-r"}, {"-f", "-T", "-ttt"}} {
		file := filepath.Join(t.TempDir(), "out")
		if out, err := exec.Command("strace", append(append([]string{"-o", file}, flags...), "/bin/sh", "-c", "/bin/true; /bin/true")...).CombinedOutput(); err != nil {
			t.Skipf("strace: %v: %s", err, out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := readString(t, string(text), "")
		for _, name := range []string{"execve", "mmap", "openat", "wait4", "exit_group"} {
			if !slices.Contains(p.Rules[0].Names, name) && !(name == "exit_group" && flags[0] == "-c") {
				t.Errorf("%q: no %s in %q", flags, name, p.Rules[0].Names)
			}
		}
	}
}

func TestReadGadget(t *testing.T) {
	const profile = `{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":["%s","read"],"action":"SCMP_ACT_ALLOW"}]}`
	for name, text := range map[string]string{
		"one":    "// web\n" + fmt.Sprintf(profile, "openat"),
		"two":    "// web\n" + fmt.Sprintf(profile, "openat") + "\n// db\n" + fmt.Sprintf(profile, "read"),
		"events": `{"syscall":"openat","comm":"x"}` + "\n" + `{"syscall":"SYS_READ"}`,
		"list":   `[{"syscall":"openat"},{"syscall":"read"}]`,
	} {
		p, _ := readString(t, text, "")
		if got := p.Rules[0].Names; p.Format != "gadget" || !slices.Equal(got, []string{"openat", "read"}) {
			t.Errorf("%s: %s, %q", name, p.Format, got)
		}
	}
}

// The recorder of spoc writes objects of the operator, or plain profiles.
func TestReadSpoc(t *testing.T) {
	const text = `apiVersion: security-profiles-operator.x-k8s.io/v1beta1
kind: SeccompProfile
metadata:
  creationTimestamp: null
  name: main
spec:
  architectures:
  - SCMP_ARCH_X86_64
  baseProfileName: base
  defaultAction: SCMP_ACT_ERRNO
  syscalls:
  - action: SCMP_ACT_ALLOW
    names:
    - arch_prctl
    - uname
status: {}
`
	p, warnings := readString(t, text, "")
	if p.Format != "spo" || p.Name != "main" || len(p.Rules[0].Names) != 2 || len(warnings) != 1 || !strings.Contains(warnings[0], `"base"`) {
		t.Errorf("got %+v, %q", p, warnings)
	}
}

func TestYAMLRefuses(t *testing.T) {
	bomb := "kind: SeccompProfile\na: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", 'b'+i, 'b'+i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", 'a'+i), 9), ","))
	}
	for name, text := range map[string]string{
		"aliases": bomb,
		"cycle":   "kind: SeccompProfile\nspec: &a\n  x: *a\n",
		"cut":     "kind: SeccompProfile\nspec: [",
		"kind":    "kind: SeccompProfile\n",
		"large":   "kind: SeccompProfile\nspec:\n" + strings.Repeat(" ", maxYAML),
		"keys":    "kind: SeccompProfile\nspec:\n  ? [a]\n  : b\n",
		"map":     "kind: ConfigMap\ndata: {}\n",
	} {
		_, _, err := Read([]byte(text), "")
		if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 300 {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTextRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"read\nwrite: maybe":              `line 2: no action "maybe"`,
		"read: allow if arg9 == 1":        "line 1: parse condition",
		"read\n@default: none":            `line 2: no action "none"`,
		"read\n@abis: z80":                `line 2: no abi "z80"`,
		"read\nwri\x00te: allow":          `line 2: "wri\x00te" is no name`,
		"# nothing\n":                     "no rule",
		strings.Repeat("a\n", maxNames+1): "more than 16384 rules",
	} {
		if _, _, err := Read([]byte(text), "text"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", text, err, want)
		}
	}
}
