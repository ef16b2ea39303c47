package export

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	seccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"speaker/policy"
)

// asEngine has libseccomp make a profile's filter, as runc and crun ask it to. The
// caller releases it.
func asEngine(p Profile, h Host) (*seccomp.ScmpFilter, []string, error) {
	if err := seccomp.SetAPI(6); err != nil {
		return nil, nil, fmt.Errorf("set libseccomp's api level (needs libseccomp >= 2.5): %w", err)
	}
	f, err := seccomp.NewFilter(native(p.Default))
	if err != nil {
		return nil, nil, err
	}
	for _, abi := range p.abis(h) {
		if abi != h.ABI {
			if err := f.AddArch(scmpArches[abi]); err != nil {
				f.Release()
				return nil, nil, err
			}
		}
	}
	var unknown []string
	for _, r := range p.Rules {
		if !r.counts(h) || r.Action == p.Default {
			continue
		}
		for _, name := range r.Names {
			if err := addRule(f, name, r); err != nil {
				unknown = append(unknown, name)
			}
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return f, []string{"libseccomp takes no rule about: " + few(slices.Compact(unknown))}, nil
	}
	return f, nil, nil
}

var scmpArches = map[policy.ABI]seccomp.ScmpArch{policy.X86_64: seccomp.ArchAMD64, policy.I386: seccomp.ArchX86,
	policy.X32: seccomp.ArchX32, policy.ARM64: seccomp.ArchARM64}

func addRule(f *seccomp.ScmpFilter, name string, r Rule) error {
	if c, err := policy.ParseCall(name); err == nil && c.ABI == policy.Native() {
		name = c.Name()
	}
	nr, err := seccomp.GetSyscallFromName(name)
	if err != nil {
		return err
	}
	conditions, err := policy.ScmpConditions(r.When)
	if err != nil {
		return err
	}
	return f.AddRuleConditional(nr, native(r.Action), conditions)
}

// native returns libseccomp's name for an action.
func native(a policy.Action) seccomp.ScmpAction { return policy.ScmpAction(a) }

// writePFC writes libseccomp's own text of the filter that it makes of the profile.
func writePFC(p Profile) ([]byte, []string, error) {
	p, warnings := p.decided(here())
	text, more, err := engineOutput(p, here(), (*seccomp.ScmpFilter).ExportPFC)
	if p.Newer != 0 && p.Newer != p.Default {
		more = append(more, fmt.Sprintf("libseccomp has no answer of its own for calls with a number above all in the profile: not %s, but %s", p.Newer, p.Default))
	}
	if p.Listener != "" || len(p.Flags) > 0 {
		more = append(more, "the format has no place for a listener and flags: left out")
	}
	return text, append(warnings, more...), err
}

// engineTime is how long libseccomp gets for a filter. It takes milliseconds, but
// with some conditions on one call it does not come to an end (seen with 2.5.4).
const engineTime = 5 * time.Second

// engineOutput has libseccomp make a profile's filter, and write it.
func engineOutput(p Profile, h Host, write func(*seccomp.ScmpFilter, *os.File) error) (out []byte, warnings []string, err error) {
	done := make(chan struct{})
	go func() { // nothing stops it: it may go on until the process ends, so at leisure
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with this
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10)
		var f *seccomp.ScmpFilter
		if f, warnings, err = asEngine(p, h); err == nil {
			defer f.Release()
			out, err = memory(func(to *os.File) error { return write(f, to) })
		}
	}()
	select {
	case <-done:
		return out, warnings, err
	case <-time.After(engineTime):
		return nil, nil, errors.New("libseccomp does not come to an end with the conditions in it")
	}
}

// writeBPF writes the program that Resolve's rules compile to, as seccomp(2) takes
// it: 8 bytes an instruction, in the byte order of the machine.
func writeBPF(p Profile) ([]byte, []string, error) {
	p, warnings := p.decided(here())
	rules, more, err := p.Resolve(here())
	if err != nil {
		return nil, nil, err
	}
	insns, err := policy.CompileRules(rules)
	if err != nil {
		return nil, nil, err
	}
	if p.Listener != "" || len(p.Flags) > 0 {
		more = append(more, "the format has no place for a listener and flags: left out")
	}
	return policy.Encode(insns), append(warnings, more...), nil
}

// memory returns what export writes to a file.
func memory(export func(*os.File) error) ([]byte, error) {
	fd, err := unix.MemfdCreate("filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make memory file: %w", err)
	}
	file := os.NewFile(uintptr(fd), "filter")
	defer file.Close()
	if err := export(file); err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}
