package export

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// linear is the filter that asks for one call after the other, as the simplest of tools
// write it.
func linear(set policy.Set) []unix.SockFilter {
	insns := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for c := range set.All() {
		insns = append(insns, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: c.Register(), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(policy.ActAllow)})
	}
	return append(insns, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(policy.RefuseWith(unix.EPERM))})
}

// engineProgram is what an engine's libseccomp makes of Docker's default profile.
func engineProgram(b *testing.B) []unix.SockFilter {
	data, err := os.ReadFile("testdata/docker-latest.json")
	if err != nil {
		b.Fatal(err)
	}
	p, _, err := Read(data, "")
	if err != nil {
		b.Fatal(err)
	}
	f, _, err := asEngine(p, here())
	if err != nil {
		b.Fatal(err)
	}
	defer f.Release()
	raw, err := memory(f.ExportBPF)
	if err != nil {
		b.Fatal(err)
	}
	insns, err := policy.Decode(bytes.Clone(raw))
	if err != nil {
		b.Fatal(err)
	}
	return insns
}

// BenchmarkPrograms compares programs by size (insns), by the instructions that one call
// takes at most (worst), and by what running them for every native call takes: Docker's
// default as an engine loads it, a policy that allows what that does, the same as a
// list, and the policy of a small server.
func BenchmarkPrograms(b *testing.B) {
	compiled := func(set policy.Set) []unix.SockFilter {
		f, err := policy.Compile(policy.Spec{Allow: set})
		if err != nil {
			b.Fatal(err)
		}
		return f.Insns
	}
	docker := policy.DockerDefault().Of(policy.Native())
	var small []policy.Call
	for i, c := range docker.Calls() {
		if i%10 == 0 {
			small = append(small, c)
		}
	}
	for _, x := range []struct {
		name  string
		insns []unix.SockFilter
	}{
		{"docker-by-engine", engineProgram(b)},
		{"docker-by-policy", compiled(docker)},
		{"docker-as-list", linear(docker)},
		{"server-by-policy", compiled(policy.NewSet(small...))},
		{"server-as-list", linear(policy.NewSet(small...))},
	} {
		b.Run(x.name, func(b *testing.B) {
			calls := policy.Calls(policy.Native())
			for b.Loop() {
				for _, c := range calls {
					if _, err := policy.Eval(x.insns, policy.DataOf(c)); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(len(x.insns)), "insns")
			b.ReportMetric(float64(policy.LongestWay(x.insns)), "worst")
		})
	}
}
