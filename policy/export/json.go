package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// jsonProfile is the form that Docker, Podman and the OCI's runtimes share: the
// OCI's, with what Docker adds (archMap, name, includes, excludes, comment) and
// Podman (errors by name).
type jsonProfile struct {
	DefaultAction    string        `json:"defaultAction"`
	DefaultErrnoRet  *uint         `json:"defaultErrnoRet,omitempty"`
	DefaultErrno     string        `json:"defaultErrno,omitempty"`
	ArchMap          []ArchMap     `json:"archMap,omitempty"`
	Architectures    []string      `json:"architectures,omitempty"`
	Flags            []string      `json:"flags,omitempty"`
	ListenerPath     string        `json:"listenerPath,omitempty"`
	ListenerMetadata string        `json:"listenerMetadata,omitempty"`
	Syscalls         []jsonSyscall `json:"syscalls,omitempty"`
}

type jsonSyscall struct {
	Names    []string  `json:"names,omitempty"`
	Name     string    `json:"name,omitempty"`
	Action   string    `json:"action"`
	ErrnoRet *uint     `json:"errnoRet,omitempty"`
	Errno    string    `json:"errno,omitempty"`
	Args     []jsonArg `json:"args,omitempty"`
	Comment  string    `json:"comment,omitempty"`
	Includes *Limit    `json:"includes,omitempty"`
	Excludes *Limit    `json:"excludes,omitempty"`
}

type jsonArg struct {
	Index    uint64 `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo,omitempty"`
	Op       string `json:"op"`
}

const enosys = policy.ActErrno | policy.Action(unix.ENOSYS)

// jsonActions are the OCI's names of the actions. The first of an action is the
// one that is written.
var jsonActions = []struct {
	name   string
	action policy.Action
}{
	{"SCMP_ACT_ALLOW", policy.ActAllow},
	{"SCMP_ACT_ERRNO", policy.ActErrno},
	{"SCMP_ACT_KILL_PROCESS", policy.ActKillProcess},
	{"SCMP_ACT_KILL_THREAD", policy.ActKillThread},
	{"SCMP_ACT_KILL", policy.ActKillThread},
	{"SCMP_ACT_TRAP", policy.ActTrap},
	{"SCMP_ACT_TRACE", policy.ActTrace},
	{"SCMP_ACT_LOG", policy.ActLog},
	{"SCMP_ACT_NOTIFY", policy.ActNotify},
}

var jsonOps = map[string]policy.Compare{
	"SCMP_CMP_EQ": policy.Equal, "SCMP_CMP_NE": policy.NotEqual,
	"SCMP_CMP_LT": policy.Less, "SCMP_CMP_LE": policy.LessOrEqual,
	"SCMP_CMP_GT": policy.Greater, "SCMP_CMP_GE": policy.GreaterOrEqual,
	"SCMP_CMP_MASKED_EQ": policy.MaskedEqual,
}

// has reports whether data is a JSON object with one of the fields.
func has(data []byte, fields ...string) bool {
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return false
	}
	var top map[string]json.RawMessage
	if json.Unmarshal(data, &top) != nil {
		// Broken, so that nothing is certain; the reader says where.
		return slices.ContainsFunc(fields, func(f string) bool { return bytes.Contains(data, []byte(`"`+f+`"`)) })
	}
	return slices.ContainsFunc(fields, func(f string) bool { _, ok := top[f]; return ok })
}

func looksOCI(data []byte) bool { return has(data, "ociVersion", "linux") }

func looksDocker(data []byte) bool { return has(data, "defaultAction", "syscalls") }

func looksPodman(data []byte) bool {
	return looksDocker(data) && (bytes.Contains(data, []byte(`"defaultErrno"`)) || bytes.Contains(data, []byte(`"errno"`)))
}

func readDocker(data []byte) (Profile, []string, error) {
	var j jsonProfile
	warnings, err := decode(data, &j)
	if err != nil {
		return Profile{}, nil, err
	}
	p, more, err := j.profile()
	return p, append(warnings, more...), err
}

// readOCI reads linux.seccomp out of a container's config.json.
func readOCI(data []byte) (Profile, []string, error) {
	var config struct {
		Linux struct {
			Seccomp json.RawMessage `json:"seccomp"`
		} `json:"linux"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return Profile{}, nil, jsonError(err)
	}
	if len(config.Linux.Seccomp) == 0 || string(config.Linux.Seccomp) == "null" {
		return Profile{}, nil, errors.New("it has no linux.seccomp: the container runs without a filter")
	}
	return readDocker(config.Linux.Seccomp)
}

// decode reads one JSON value. Fields that it has no place for are warned of.
func decode(data []byte, into any) (warnings []string, err error) {
	if err := json.Unmarshal(data, into); err != nil {
		return nil, jsonError(err)
	}
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if err := strict.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
			return []string{fmt.Sprintf("left out a field that the format does not have: %s", shorten(field))}, nil
		}
		return nil, jsonError(err)
	}
	return nil, nil
}

// jsonError words what a decoder of Go's says for people.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON from byte %d on: %s", syntax.Offset, shorten(syntax.Error()))
	case errors.As(err, &kind):
		return fmt.Errorf("%s cannot be this: %s", kind.Field, shorten(kind.Value))
	}
	return errors.New(shorten(strings.TrimPrefix(err.Error(), "json: ")))
}

// profile checks j and turns it into a Profile.
func (j jsonProfile) profile() (Profile, []string, error) {
	if j.DefaultAction == "" {
		return Profile{}, nil, errEmpty
	}
	if len(j.Architectures) > 0 && len(j.ArchMap) > 0 {
		return Profile{}, nil, errors.New("both architectures and archMap: engines take one only")
	}
	action, err := jsonAction(j.DefaultAction, j.DefaultErrnoRet, j.DefaultErrno)
	if err != nil {
		return Profile{}, nil, fmt.Errorf("default action: %w", err)
	}
	p := Profile{Default: action, Arches: j.Architectures, ArchMap: j.ArchMap, Flags: j.Flags,
		Listener: j.ListenerPath, ListenerMetadata: j.ListenerMetadata}
	var warnings []string
	for i, s := range j.Syscalls {
		r, more, err := s.rule()
		if err != nil {
			return Profile{}, nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		for _, text := range more {
			warnings = append(warnings, fmt.Sprintf("rule %d: %s", i+1, text))
		}
		for _, when := range alternatives(r.When) {
			r.When = when
			p.Rules = append(p.Rules, r)
		}
	}
	return p, append(warnings, p.unsaid()...), nil
}

func (s jsonSyscall) rule() (r Rule, warnings []string, err error) {
	r = Rule{Names: s.Names, Comment: s.Comment}
	if s.Name != "" {
		if len(s.Names) > 0 {
			return Rule{}, nil, errors.New("both name and names: engines take one only")
		}
		r.Names = []string{s.Name}
	}
	if r.Action, err = jsonAction(s.Action, s.ErrnoRet, s.Errno); err != nil {
		return Rule{}, nil, err
	}
	if s.Includes != nil {
		r.Includes = *s.Includes
	}
	if s.Excludes != nil {
		r.Excludes = *s.Excludes
	}
	for _, v := range []string{r.Includes.MinKernel, r.Excludes.MinKernel} {
		var major, minor uint8
		if _, err := fmt.Sscanf(v, "%d.%d", &major, &minor); v != "" && (err != nil || fmt.Sprintf("%d.%d", major, minor) != v) {
			return Rule{}, nil, fmt.Errorf("minKernel %q is no version like 4.8", shorten(v))
		}
	}
	if len(s.Args) > maxTests {
		return Rule{}, nil, fmt.Errorf("%d conditions, at most %d are taken", len(s.Args), maxTests)
	}
	for _, a := range s.Args {
		c, text, err := a.condition()
		if err != nil {
			return Rule{}, nil, err
		}
		if text != "" {
			warnings = append(warnings, text)
		}
		r.When = append(r.When, c)
	}
	if len(alternatives(r.When)) > 1 {
		warnings = append(warnings, "two conditions are about one argument: runc and crun then take each as enough by itself")
	}
	return r, warnings, nil
}

func (a jsonArg) condition() (c policy.Condition, warning string, err error) {
	op, ok := jsonOps[a.Op]
	if !ok {
		return c, "", fmt.Errorf("no comparison %q", shorten(a.Op))
	}
	if a.Index > 5 {
		return c, "", fmt.Errorf("argument %d: there are 0 to 5", a.Index)
	}
	c = policy.Condition{Arg: uint8(a.Index), Op: op, Value: a.Value}
	if op != policy.MaskedEqual {
		return c, "", nil
	}
	c.Mask, c.Value = a.Value, a.ValueTwo&a.Value
	if c.Value != a.ValueTwo {
		warning = fmt.Sprintf("the value %#x has bits that the mask %#x takes away: libseccomp leaves them out", a.ValueTwo, a.Value)
	}
	return c, warning, nil
}

// jsonAction reads an action. An error may be given by number, or by name
// (Podman); without, it is EPERM.
func jsonAction(name string, ret *uint, errno string) (policy.Action, error) {
	var action policy.Action
	found := false
	for _, a := range jsonActions {
		if a.name == name {
			action, found = a.action, true
		}
	}
	if !found {
		return 0, fmt.Errorf("no action %q", shorten(name))
	}
	value := uint(unix.EPERM)
	if ret != nil {
		value = *ret
	}
	if errno != "" {
		n := errnoNumber(errno)
		if n == 0 {
			return 0, fmt.Errorf("no error %q", shorten(errno))
		}
		if ret != nil && *ret != uint(n) {
			return 0, fmt.Errorf("error number %d is not %s", *ret, errno)
		}
		value = uint(n)
	}
	switch action {
	case policy.ActErrno:
		if value > 4095 {
			return 0, fmt.Errorf("error number %d is above 4095", value)
		}
		return policy.RefuseWith(unix.Errno(value)), nil
	case policy.ActTrace:
		return action | policy.Action(value&unix.SECCOMP_RET_DATA), nil
	}
	return action, nil
}

// errnoNumber returns the number of an error's name, 0 for none.
func errnoNumber(name string) unix.Errno {
	for n := unix.Errno(1); n < 200; n++ {
		if unix.ErrnoName(n) == name {
			return n
		}
	}
	return 0
}

// unsaid tells what a profile asks for that its rules do not show.
func (p Profile) unsaid() []string {
	var out []string
	notifies := p.Default == policy.ActNotify
	for _, r := range p.Rules {
		notifies = notifies || r.Action == policy.ActNotify
	}
	if notifies && p.Listener == "" {
		out = append(out, "calls are notified, but there is no listenerPath: runtimes refuse to start it")
	}
	for _, a := range p.Arches {
		if !ociArch.MatchString(a) {
			out = append(out, fmt.Sprintf("%q is no architecture: runtimes refuse to start it", shorten(a)))
		}
	}
	return out
}

// ociArch are the architectures that the OCI has names of.
var ociArch = regexp.MustCompile(`^SCMP_ARCH_(X86|X86_64|X32|ARM|AARCH64|(MIPS|MIPSEL)(64(N32)?)?|PPC|PPC64|PPC64LE|S390|S390X|PARISC|PARISC64|RISCV64|LOONGARCH64|M68K|SH|SHEB|NATIVE)$`)

// alternatives parts conditions as runc and crun do: where two are about one
// argument, each is enough by itself.
func alternatives(when []policy.Condition) [][]policy.Condition {
	seen := [len(policy.Args{})]bool{}
	for _, c := range when {
		if int(c.Arg) < len(seen) && seen[c.Arg] {
			out := make([][]policy.Condition, len(when))
			for i, c := range when {
				out[i] = []policy.Condition{c}
			}
			return out
		}
		if int(c.Arg) < len(seen) {
			seen[c.Arg] = true
		}
	}
	return [][]policy.Condition{when}
}
