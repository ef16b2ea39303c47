package bench

import (
	"testing"

	"speaker/trace/target/enginetest"
)

// inPodman runs a test with Podman's service, with either runtime and in either
// hierarchy; how names both.
func inPodman(t *testing.T, test func(t *testing.T, p *enginetest.Podman, how string)) {
	t.Helper()
	needBPF(t)
	for _, x := range []struct {
		runtime string
		v2      bool
	}{{"runc", false}, {"crun", false}, {"crun", true}} {
		how := x.runtime + map[bool]string{false: "-v1", true: "-v2"}[x.v2]
		t.Run(how, func(t *testing.T) {
			p := enginetest.NeedPodman(t, x.runtime, x.v2)
			lonely(t)
			t.Setenv("CONTAINER_HOST", p.Serve(t))
			test(t, p, how)
		})
	}
}
