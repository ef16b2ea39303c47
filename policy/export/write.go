package export

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// writers are the forms that WriteProfile knows.
var writers = []struct {
	name  string
	write func(Profile) (text []byte, warnings []string, err error)
}{
	{"docker", writeDocker},
	{"podman", writePodman},
	{"oci", writeOCI},
	{"cri", writeCRI},
	{"kubernetes", writeKubernetes},
	{"spo", writeSPO},
	{"systemd", writeSystemd},
	{"text", writeText},
	{"pfc", writePFC},
	{"bpf", writeBPF},
}

// Formats returns the names that Write and WriteProfile take.
func Formats() []string {
	var names []string
	for _, f := range writers {
		names = append(names, f.name)
	}
	return names
}

// WriteProfile writes a profile in the format of that name. The sentences say what
// the format cannot say, and what is written instead.
func WriteProfile(w io.Writer, format string, p Profile) (warnings []string, err error) {
	for _, f := range writers {
		if f.name != format {
			continue
		}
		text, warnings, err := f.write(p)
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			return nil, fmt.Errorf("export %s profile: %w", format, err)
		}
		return warnings, nil
	}
	return nil, fmt.Errorf("export policy: no format %q, there are %s", shorten(format), strings.Join(Formats(), ", "))
}

// here is the host that a profile is decided for where a format has no place for
// limits.
func here() Host { return Host{ABI: policy.Native(), Caps: DefaultCaps()} }

// decided returns the profile without limits: the rules that count on a host, and
// what was decided.
func (p Profile) decided(h Host) (Profile, []string) {
	limited := len(p.ArchMap) > 0
	p.Newer = p.newer(h)
	var rules []Rule
	for _, r := range p.Rules {
		limited = limited || !r.Includes.empty() || !r.Excludes.empty()
		if r.counts(h) {
			r.Includes, r.Excludes = Limit{}, Limit{}
			rules = append(rules, r)
		}
	}
	p.Arches, p.ArchMap, p.Rules = p.arches(h), nil, rules
	if !limited {
		return p, nil
	}
	return p, []string{fmt.Sprintf("the format cannot say for which hosts and containers a rule is: written for %s, capabilities %s", h.ABI, capsText(h.Caps))}
}

func capsText(caps []string) string {
	if slices.Equal(caps, DefaultCaps()) {
		return "as Docker gives by default"
	}
	return strings.Join(caps, " ")
}

func (l Limit) empty() bool { return len(l.Arches)+len(l.Caps) == 0 && l.MinKernel == "" }

// jsonForm returns the form that all container engines share. It has names alone,
// so that calls without one are an error.
func (p Profile) jsonForm() (jsonProfile, []string, error) {
	j := jsonProfile{Architectures: p.Arches, ArchMap: p.ArchMap, Flags: p.Flags, ListenerPath: p.Listener, ListenerMetadata: p.ListenerMetadata}
	j.DefaultAction, j.DefaultErrnoRet = jsonNames(p.Default)
	var nameless, bound []string
	for _, r := range p.Rules {
		s := jsonSyscall{Comment: r.Comment, Includes: pointer(r.Includes), Excludes: pointer(r.Excludes)}
		s.Action, s.ErrnoRet = jsonNames(r.Action)
		for _, name := range r.Names {
			abi, bare, ok := strings.Cut(name, ":")
			switch {
			case strings.Contains(name, "#"):
				nameless = append(nameless, name)
				continue
			case ok:
				bound = append(bound, name)
				j.Architectures = withArch(j.Architectures, abi)
				name = bare
			}
			s.Names = append(s.Names, name)
		}
		if len(alternatives(r.When)) > 1 {
			return j, nil, fmt.Errorf("%s has two conditions about one argument: engines take each as enough by itself", r.Names[0])
		}
		if len(bound) > 0 {
			slices.Sort(s.Names)
			s.Names = slices.Compact(s.Names)
		}
		for _, c := range r.When {
			s.Args = append(s.Args, jsonCondition(c))
		}
		if len(s.Names) > 0 {
			j.Syscalls = append(j.Syscalls, s)
		}
	}
	if len(nameless) > 0 {
		return j, nil, fmt.Errorf("calls without a name: %s", few(nameless))
	}
	var warnings []string
	switch {
	case p.engine():
	case p.Newer != enosys && p.denies():
		warnings = append(warnings, "runc lets calls with a number above all in the profile fail with ENOSYS")
	case p.Newer != 0 && p.Newer != p.Default && !p.denies():
		warnings = append(warnings, fmt.Sprintf("calls with a number above all in the profile get %s as all others: the format has no answer for them alone", p.Default))
	}
	if len(bound) > 0 {
		warnings = append(warnings, "the format cannot say for which ABI a rule is: written for all that the profile lists: "+few(bound))
	}
	return j, append(warnings, p.EngineDiffers(here())...), nil
}

// withArch adds the OCI's name of an ABI to a list of architectures.
func withArch(list []string, abi string) []string {
	for a, arch := range architectures {
		if a.String() == abi && !slices.Contains(list, string(arch)) {
			return append(list, string(arch))
		}
	}
	return list
}

func pointer(l Limit) *Limit {
	if l.empty() {
		return nil
	}
	return &l
}

// jsonNames returns the OCI's name of an action, and its error.
func jsonNames(a policy.Action) (name string, ret *uint) {
	for _, n := range jsonActions {
		if n.action == a.Kind() {
			name = n.name
			break
		}
	}
	if k := a.Kind(); k == policy.ActErrno || k == policy.ActTrace && a.Data() != 0 {
		value := uint(a.Data())
		ret = &value
	}
	return name, ret
}

func jsonCondition(c policy.Condition) jsonArg {
	a := jsonArg{Index: uint64(c.Arg), Value: c.Value}
	for name, op := range jsonOps {
		if op == c.Op {
			a.Op = name
		}
	}
	if c.Op == policy.MaskedEqual {
		a.Value, a.ValueTwo = c.Mask, c.Value
	}
	return a
}

func marshal(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "\t")
	return append(text, '\n'), err
}

func writeDocker(p Profile) ([]byte, []string, error) {
	j, warnings, err := p.jsonForm()
	if err != nil {
		return nil, nil, err
	}
	if p.Default.Kind() == policy.ActErrno && p.Default.Errno() != unix.EPERM {
		warnings = append(warnings, fmt.Sprintf("Docker before 23.0 has no default error but EPERM, and gives that in place of %s", p.Default))
	}
	text, err := marshal(j)
	return text, warnings, err
}

// writePodman is writeDocker with errors by name, as Podman's own profile has them.
func writePodman(p Profile) ([]byte, []string, error) {
	j, warnings, err := p.jsonForm()
	if err != nil {
		return nil, nil, err
	}
	name := func(ret *uint) string {
		if ret == nil {
			return ""
		}
		return unix.ErrnoName(unix.Errno(*ret))
	}
	j.DefaultErrno = name(j.DefaultErrnoRet)
	for i := range j.Syscalls {
		s := &j.Syscalls[i]
		if s.Errno = name(s.ErrnoRet); s.Errno != "" && s.Action != "SCMP_ACT_ERRNO" {
			s.Errno = ""
		}
	}
	text, err := marshal(j)
	return text, warnings, err
}

// plainForm is jsonForm without what Docker adds to the OCI's form.
func (p Profile) plainForm() (jsonProfile, []string, error) {
	p, warnings := p.decided(here())
	j, more, err := p.jsonForm()
	for i := range j.Syscalls {
		j.Syscalls[i].Comment = "" // for people: nothing is lost to the filter
	}
	return j, append(warnings, more...), err
}

// writeCRI writes what containerd and CRI-O load: the OCI's linux.seccomp alone.
func writeCRI(p Profile) ([]byte, []string, error) {
	j, warnings, err := p.plainForm()
	if err != nil {
		return nil, nil, err
	}
	text, err := marshal(j)
	return text, warnings, err
}

// writeOCI writes the part of a config.json that the profile is.
func writeOCI(p Profile) ([]byte, []string, error) {
	j, warnings, err := p.plainForm()
	if err != nil {
		return nil, nil, err
	}
	if len(j.Architectures) == 0 {
		j.Architectures = []string{string(architectures[policy.Native()])}
	}
	text, err := marshal(map[string]any{"linux": map[string]any{"seccomp": j}})
	return text, warnings, err
}
