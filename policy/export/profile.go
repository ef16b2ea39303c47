package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	seccomp "github.com/seccomp/libseccomp-golang"

	"speaker/policy"
)

// Profile is a seccomp profile as a file has it, by names of calls. Resolve makes
// of it what a filter would answer.
type Profile struct {
	Format  string // how it was written: see Formats
	Name    string // of the forms that have one
	Default policy.Action
	// Newer is the answer to calls with a number above those of all rules, 0 for
	// none of its own. See Host.Crun for what engines do without.
	Newer   policy.Action
	Arches  []string // the OCI's names (SCMP_ARCH_X86_64); none: the machine's own
	ArchMap []ArchMap
	Rules   []Rule
	Flags   []string // of the filter, the OCI's names (SECCOMP_FILTER_FLAG_LOG)
	// Listener is the socket where a supervisor gets notified calls, and
	// ListenerMetadata what it is told.
	Listener, ListenerMetadata string

	notes map[string]string // why calls are in a policy, for people
	phase string            // of a policy
}

// architectures are the OCI's names of the ABIs.
var architectures = map[policy.ABI]specs.Arch{
	policy.X86_64: specs.ArchX86_64,
	policy.I386:   specs.ArchX86,
	policy.X32:    specs.ArchX32,
	policy.ARM64:  specs.ArchAARCH64,
}

// ArchMap are the architectures that a profile is for on machines of one kind.
type ArchMap struct {
	Arch string   `json:"architecture"`
	Sub  []string `json:"subArchitectures"`
}

// Rule is the answer to some calls, when all conditions hold.
type Rule struct {
	// Names are those of calls, of whatever architectures have them. One with an
	// ABI ("i386:open") or a number ("#999") is that one call's.
	Names    []string
	Action   policy.Action
	When     []policy.Condition
	Includes Limit // the rule counts only where all of it is so
	Excludes Limit // the rule counts only where none of it is so
	Comment  string
}

// Limit is where a rule counts. An empty field says nothing.
type Limit struct {
	Arches    []string `json:"arches,omitempty"` // amd64, arm64, …
	Caps      []string `json:"caps,omitempty"`   // CAP_SYS_ADMIN, …
	MinKernel string   `json:"minKernel,omitempty"`
}

// Host is what a profile is loaded on, and for.
type Host struct {
	ABI    policy.ABI // of its 64-bit programs
	Caps   []string   // what the container may have (its bounding set)
	Kernel string     // "6.1" or "6.1.0-39-amd64"; "": newer than all that is asked for
	// Crun is set where crun, not runc, makes the filter: runc lets calls that are
	// newer than all those in a profile that lists architectures fail with ENOSYS.
	Crun bool
	// Knows says which names the engine's libseccomp has; it passes over others.
	// nil: all.
	Knows func(name string) bool
}

// DefaultCaps are the capabilities that Docker gives a container unless told
// otherwise.
func DefaultCaps() []string {
	return []string{"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
		"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"}
}

// goArch is what Docker and Podman call the ABI in a rule's limits.
func goArch(a policy.ABI) string {
	if a == policy.ARM64 {
		return "arm64"
	}
	return "amd64"
}

// counts reports whether a rule counts on a host, as Docker and Podman decide it.
func (r Rule) counts(h Host) bool {
	arch := goArch(h.ABI)
	has := func(c string) bool { return slices.Contains(h.Caps, c) }
	lacks := func(c string) bool { return !has(c) }
	in, out := r.Includes, r.Excludes
	switch {
	case slices.Contains(out.Arches, arch), slices.ContainsFunc(out.Caps, has):
		return false
	case out.MinKernel != "" && atLeast(h.Kernel, out.MinKernel):
		return false
	case len(in.Arches) > 0 && !slices.Contains(in.Arches, arch), slices.ContainsFunc(in.Caps, lacks):
		return false
	}
	return in.MinKernel == "" || atLeast(h.Kernel, in.MinKernel)
}

// atLeast reports whether a kernel is of a version ("4.8") or newer.
func atLeast(kernel, version string) bool {
	if kernel == "" {
		return true
	}
	var k, v [2]int
	if _, err := fmt.Sscanf(kernel, "%d.%d", &k[0], &k[1]); err != nil {
		return false
	}
	if _, err := fmt.Sscanf(version, "%d.%d", &v[0], &v[1]); err != nil {
		return false
	}
	return slices.Compare(k[:], v[:]) >= 0
}

// arches returns the architectures that the profile lists for a host.
func (p Profile) arches(h Host) []string {
	for _, m := range p.ArchMap {
		if m.Arch == string(architectures[h.ABI]) {
			return append([]string{m.Arch}, m.Sub...)
		}
	}
	return p.Arches
}

// abis returns the ABIs that a host's filter is for: the native one always, and
// those listed that the host has.
func (p Profile) abis(h Host) []policy.ABI {
	out := []policy.ABI{h.ABI}
	for abi, arch := range architectures {
		if abi.On(h.ABI) && slices.Contains(p.arches(h), string(arch)) {
			out = append(out, abi)
		}
	}
	return out
}

// Resolve returns what the filter answers that engines make of the profile for a
// host, and in sentences what of the profile counts for nothing there. It is an
// error when the profile contradicts itself.
func (p Profile) Resolve(h Host) (policy.Rules, []string, error) {
	outside := policy.Outside{Default: p.Default, Foreign: policy.ActKillThread, Newer: p.newer(h)}
	l := lookup{host: h, abis: p.abis(h)}
	var rules []policy.Rule
	for _, r := range p.Rules {
		if r.counts(h) {
			rules = append(rules, l.rules(r)...)
		}
	}
	if len(rules) > maxCalls {
		return policy.Rules{}, nil, fmt.Errorf("%d rules are more than the %d that are taken", len(rules), maxCalls)
	}
	out, err := policy.NewRules(l.abis, outside, rules)
	if err != nil {
		return policy.Rules{}, nil, err
	}
	return out, append(l.warnings(), overruled(out)...), nil
}

// overruled words the rules that others make void.
func overruled(r policy.Rules) []string {
	var out []string
	for _, o := range r.Overruled() {
		if o.Call.ABI == policy.Native() { // what the others say again
			out = append(out, fmt.Sprintf("%s counts for nothing: another rule holds whatever the arguments, %s", o, r.Of(o.Call)[0].Action))
		}
	}
	return out
}

// newer is the answer to calls that are newer than all that the profile names. runc
// makes that up, where a profile lists architectures and denies by default.
func (p Profile) newer(h Host) policy.Action {
	listed := slices.Contains(p.arches(h), string(architectures[h.ABI]))
	if p.Newer == 0 && p.engine() && listed && !h.Crun && p.denies() {
		return enosys
	}
	return p.Newer
}

// denies reports whether runc would change the default for newer calls.
func (p Profile) denies() bool {
	return !p.Default.Allows() && p.Default.Kind() != policy.ActTrace && p.Default != enosys
}

// engine reports whether the profile was read from what container engines take.
func (p Profile) engine() bool {
	return slices.Contains([]string{"docker", "podman", "oci", "cri", "kubernetes", "spo", "gadget"}, p.Format)
}

// lookup turns names into calls.
type lookup struct {
	host    Host
	abis    []policy.ABI
	unknown []string
}

// rules returns the rules about single calls that r stands for.
func (l *lookup) rules(r Rule) []policy.Rule {
	var out []policy.Rule
	for _, name := range r.Names {
		calls := l.calls(name)
		if len(calls) == 0 && !known(name) {
			l.unknown = append(l.unknown, name)
		}
		for _, c := range calls {
			if seen, ok := halved(c.ABI, r.When); ok {
				out = append(out, policy.Rule{Call: c, Action: r.Action, When: seen})
			}
		}
		if mux, ok := multiplexed(name, r.When); ok && slices.Contains(l.abis, policy.I386) {
			mux.Action = r.Action
			out = append(out, mux)
		}
	}
	return out
}

// known reports whether some architecture has a call of that name.
func known(name string) bool {
	_, err := seccomp.GetSyscallFromName(name)
	return err == nil
}

// halved cuts the values of conditions for 32-bit ABIs, as libseccomp does. ok is
// false when they can then never hold.
func halved(a policy.ABI, when []policy.Condition) (out []policy.Condition, ok bool) {
	if a.Seen(policy.Args{1 << 32})[0] != 0 {
		return when, true
	}
	out = slices.Clone(when)
	for i, c := range out {
		seen := a.Seen(policy.Args{c.Value, c.Mask})
		out[i].Value, out[i].Mask = seen[0], seen[1]
	}
	_, ok = policy.Witness(out)
	return out, ok
}

// calls returns the calls of a name that the filter's ABIs have.
func (l *lookup) calls(name string) []policy.Call {
	if strings.ContainsAny(name, ":#") {
		if c, err := policy.ParseCall(name); err == nil {
			return []policy.Call{c}
		}
		return nil
	}
	if l.host.Knows != nil && !l.host.Knows(name) {
		return nil
	}
	var out []policy.Call
	for _, abi := range l.abis {
		if c, err := policy.ParseCall(abi.String() + ":" + name); err == nil {
			out = append(out, c)
		}
	}
	return out
}

func (l *lookup) warnings() []string {
	if len(l.unknown) == 0 {
		return nil
	}
	slices.Sort(l.unknown)
	return []string{"unknown calls, which engines pass over: " + few(slices.Compact(l.unknown))}
}

// few names the first of many.
func few(names []string) string {
	const most = 8
	rest := ""
	if len(names) > most {
		names, rest = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, " ") + rest
}
