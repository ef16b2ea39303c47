package bench

import (
	"fmt"
	"testing"

	"speaker/trace/target/enginetest"
)

// What podman run makes and starts is seen from its very first call, with either
// runtime and in either hierarchy: crun clones straight into a v2 cgroup, so that
// nothing is ever seen to move there.
func TestNextPodman(t *testing.T) {
	inPodman(t, func(t *testing.T, p *enginetest.Podman, how string) {
		for i := range 5 {
			name := fmt.Sprintf("st-next-%d", i)
			w := nextIn(t, p.Controller(), "st-next-?", func() {
				p.Run(t, "run", "--rm", "--name", "other", image, "/few")
				p.Run(t, "run", "--rm", "--name", name, image, "/few")
			})
			wholeStart(t, w, name)
		}
	})
}
