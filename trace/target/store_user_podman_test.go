package target

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"speaker/trace/target/enginetest"
)

// A container that a user without privilege makes is told of with no service
// running, also of one who logs in while it is waited; others that they have are not.
func TestRootlessPodman(t *testing.T) {
	p := enginetest.NeedRootlessPodman(t)
	p.Run(t, "create", "--name", "old", enginetest.Image, "/few")
	ctx, cancel := context.WithCancel(context.Background())
	told, ready, done := make(chan Target, 10), make(chan struct{}), make(chan struct{})
	users := make(chan string, 1)
	run := t.TempDir() // nobody is there yet
	go func() {
		defer close(done)
		hearStores(ctx, func() []store {
			select {
			case run = <-users:
			default:
			}
			return storesOfUsers(run, func(string) string { return p.Home })
		}, func() { close(ready) }, func(t Target) { told <- t })
	}()
	defer func() { cancel(); <-done }()
	<-ready
	users <- filepath.Dir(p.RuntimeDir)
	for _, name := range []string{"first", "second"} {
		id := p.Run(t, "create", "--name", name, enginetest.Image, "/few")
		select {
		case c := <-told:
			if c.ID != id || c.Name != name || c.Engine != "podman" || !strings.Contains(c.Image, enginetest.Image) {
				t.Errorf("told of %+v, not of %s", c, name)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing is told of %s", name)
		}
	}
}
