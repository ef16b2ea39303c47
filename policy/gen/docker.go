package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// dockerABIs are the ABIs that the profile is for on a host of each kind: the
// engine looks at the host alone, and the rules then hold for every ABI there.
var dockerABIs = []struct {
	host string
	abis []string
}{{"amd64", []string{"x86_64", "i386", "x32"}}, {"arm64", []string{"arm64"}}}

// readDocker tells each call what Docker's default profile does with it.
func (f *facts) readDocker() error {
	var err error
	if f.docker, _, err = module("github.com/moby/profiles/seccomp"); err != nil {
		return err
	}
	for _, s := range seccomp.DefaultProfile().Syscalls {
		if s.Action != specs.ActAllow {
			continue // it only says which error is given
		}
		rule := dockerRule(s)
		for _, name := range s.Names {
			// Many rules that differ in the arguments are one here.
			if x := f.of[name]; x != nil && rule != "" && !slices.Contains(x.docker, rule) {
				x.docker = append(x.docker, rule)
			}
		}
	}
	return nil
}

// dockerRule writes the conditions of a rule as Go source, "" if it is for
// neither kind of host.
func dockerRule(s *seccomp.Syscall) string {
	var in, out seccomp.Filter
	if s.Includes != nil {
		in = *s.Includes
	}
	if s.Excludes != nil {
		out = *s.Excludes
	}
	var bits []string
	for _, d := range dockerABIs {
		if len(in.Arches) > 0 && !slices.Contains(in.Arches, d.host) || slices.Contains(out.Arches, d.host) {
			continue
		}
		for _, abi := range d.abis {
			bits = append(bits, fmt.Sprintf("1<<%d", abiOf(abi)))
		}
	}
	if len(bits) == 0 {
		return ""
	}
	on := strings.Join(bits, "|")
	if len(bits) == len(abis) {
		on = "anyABI"
	}
	var fields []string
	if len(in.Caps) > 0 {
		fields = append(fields, fmt.Sprintf("Caps: []string{%s}", quoted(in.Caps)))
	}
	if len(out.Caps) > 0 {
		fields = append(fields, fmt.Sprintf("Unless: []string{%s}", quoted(out.Caps)))
	}
	if in.MinKernel != nil {
		fields = append(fields, fmt.Sprintf("MinKernel: %q", in.MinKernel.String()))
	}
	if len(s.Args) > 0 {
		fields = append(fields, "Args: true")
	}
	return fmt.Sprintf("{%s, DockerRule{%s}}", on, strings.Join(fields, ", "))
}
