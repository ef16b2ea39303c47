package bench

import (
	"fmt"
	"testing"

	"speaker/trace/target/enginetest"
)

// What ctr run makes and starts is seen from its very first call.
func TestNextContainerd(t *testing.T) {
	needBPF(t)
	c := enginetest.NeedContainerd(t)
	lonely(t)
	t.Setenv("CONTAINERD_ADDRESS", c.Socket)
	for i := range 10 {
		name := fmt.Sprintf("st-next-%d", i)
		w := next(t, "st-next-*", func() {
			c.Run(t, "run", "--rm", "docker.io/"+image, "other", "/few")
			c.Run(t, "run", "--rm", "docker.io/"+image, name, "/few")
		})
		wholeStart(t, w, name)
	}
}
