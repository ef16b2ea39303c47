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
			c.Run(t, "run", "--rm", "localhost/"+image, "other", "/few")
			c.Run(t, "run", "--rm", "localhost/"+image, name, "/few")
		})
		wholeStart(t, w, name)
	}
}

// A pod's container is waited for by its name in the pod, with the pod's, and is
// seen from its very first call.
func TestNextCRI(t *testing.T) {
	needBPF(t)
	c := enginetest.NeedContainerd(t)
	lonely(t)
	t.Setenv("CONTAINERD_ADDRESS", c.Socket)
	t.Setenv("CONTAINER_RUNTIME_ENDPOINT", "unix://"+c.Socket)
	k := enginetest.NeedKubelet(t, c)
	for i := range 5 {
		w := next(t, fmt.Sprintf("st-pod-%d/app", i), func() {
			p := k.Pod(t, fmt.Sprintf("st-pod-%d", i))
			p.Start(t, p.Create(t, "side", "/few"))
			p.Start(t, p.Create(t, "app", "/few"))
		})
		wholeStart(t, w, fmt.Sprintf("st-pod-%d/app", i))
		if e := w.State().Item.Engine; e != "cri" {
			t.Errorf("it is one of %s", e)
		}
	}
}
