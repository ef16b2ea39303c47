package export

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"speaker/policy"
)

// Docker writes a seccomp profile for "docker run --security-opt seccomp=FILE",
// podman and any runtime that takes the OCI's form. Known calls newer than Linux
// 5.0 that are not allowed fail with ENOSYS, so that programs fall back; all
// else fails with EPERM.
//
// The form knows names, not numbers, so a call without a name is an error, and
// where i386 or x32 calls are allowed, an allowed name holds for all ABIs alike.
// Names that are too new for the engine's libseccomp are ignored there: such
// calls stay denied.
func Docker(w io.Writer, p policy.Policy, o Options) error {
	set, err := allowed(p, o)
	if err != nil {
		return err
	}
	profile, err := profileOf(set)
	if err != nil {
		return fmt.Errorf("export docker profile: %w", err)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	if err := enc.Encode(profile); err != nil {
		return fmt.Errorf("export docker profile: %w", err)
	}
	return nil
}

// architectures are the OCI's names of the ABIs.
var architectures = map[policy.ABI]specs.Arch{
	policy.X86_64: specs.ArchX86_64,
	policy.I386:   specs.ArchX86,
	policy.X32:    specs.ArchX32,
	policy.ARM64:  specs.ArchAARCH64,
}

func profileOf(set policy.Set) (specs.LinuxSeccomp, error) {
	var nameless []string
	for c := range set.All() {
		if !c.Known() {
			nameless = append(nameless, c.String())
		}
	}
	if len(nameless) > 0 {
		return specs.LinuxSeccomp{}, fmt.Errorf("calls without a name: %s", strings.Join(nameless, " "))
	}
	eperm, enosys := uint(unix.EPERM), uint(unix.ENOSYS)
	profile := specs.LinuxSeccomp{
		DefaultAction:   specs.ActErrno,
		DefaultErrnoRet: &eperm,
		Architectures:   []specs.Arch{architectures[policy.Native()]},
		Syscalls:        []specs.LinuxSyscall{{Names: sortedNames(set), Action: specs.ActAllow}},
	}
	for _, abi := range []policy.ABI{policy.X86_64, policy.I386, policy.X32, policy.ARM64} {
		if abi != policy.Native() && set.Of(abi).Len() > 0 {
			profile.Architectures = append(profile.Architectures, architectures[abi])
		}
	}
	if names := tooNew(set); len(names) > 0 {
		profile.Syscalls = append(profile.Syscalls, specs.LinuxSyscall{
			Names: names, Action: specs.ActErrno, ErrnoRet: &enosys,
		})
	}
	return profile, nil
}

// tooNew returns the names of the calls that a program should think the kernel
// does not have.
func tooNew(set policy.Set) []string {
	permitted := sortedNames(set)
	spec := policy.Spec{Allow: set}
	var out []string
	for _, c := range policy.Calls(policy.Native()) {
		if spec.Want(c).Errno() != unix.ENOSYS {
			continue
		}
		if _, ok := slices.BinarySearch(permitted, c.Name()); !ok {
			out = append(out, c.Name())
		}
	}
	slices.Sort(out)
	return out
}
