package enginetest

import (
	"os/exec"
	"testing"
)

// Docker runs its client's commands.
type Docker struct{}

// NeedDocker gives Docker's daemon the image, until the test ends.
func NeedDocker(t *testing.T) Docker {
	t.Helper()
	needRoot(t)
	if out, err := exec.Command("docker", "version").CombinedOutput(); err != nil {
		t.Skipf("no Docker: %s", out)
	}
	d := Docker{}
	d.Run(t, "import", rootfs(t), Image)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", Image).Run() })
	return d
}

// Run runs a command of the client.
func (Docker) Run(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, exec.Command("docker", args...))
}

// Remove removes a container, now and when the test ends.
func (Docker) Remove(t *testing.T, name string) {
	t.Helper()
	rm := func() { _ = exec.Command("docker", "rm", "-f", name).Run() }
	rm()
	t.Cleanup(rm)
}
