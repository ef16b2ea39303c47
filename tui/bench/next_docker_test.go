package bench

import (
	"fmt"
	"testing"

	"speaker/trace/target/enginetest"
)

// The container that docker run makes and starts in one go is seen from its very
// first call, every time, though its id is known for some 40 ms before only; and
// no other's calls are among its own.
func TestNextDocker(t *testing.T) {
	needBPF(t)
	d := enginetest.NeedDocker(t)
	lonely(t)
	t.Setenv("DOCKER_HOST", "")
	for i := range 10 {
		name := fmt.Sprintf("st-next-%d", i)
		d.Remove(t, name)
		w := next(t, "st-next-*", func() {
			d.Run(t, "run", "--rm", "--network", "none", "--name", "st-other", image, "/few")
			d.Run(t, "run", "--rm", "--network", "none", "--name", name, image, "/few")
		})
		wholeStart(t, w, name)
	}
}

// Of several that match, started at the same time, one is the target, alone.
func TestNextFirstOfMany(t *testing.T) {
	needBPF(t)
	d := enginetest.NeedDocker(t)
	lonely(t)
	t.Setenv("DOCKER_HOST", "")
	names := []string{"st-many-1", "st-many-2", "st-many-3"}
	for _, n := range names { // made before it is waited
		d.Remove(t, n)
		d.Run(t, "create", "--network", "none", "--name", n, image, "/few", "1")
	}
	w := next(t, "st-many-[0-9]", func() { d.Run(t, append([]string{"start"}, names...)...) })
	wholeStart(t, w, w.item.Name)
}
