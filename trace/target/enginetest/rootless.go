package enginetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Rootless is a Podman of a user without privilege, with the folders it takes by
// itself. It can make containers here, not start them: for that it wants a cgroup
// of the user's own.
type Rootless struct {
	Home       string
	RuntimeDir string // named by the user's number
}

const nobody = "65534"

// NeedRootlessPodman sets one up.
func NeedRootlessPodman(t *testing.T) *Rootless {
	t.Helper()
	needRoot(t)
	for _, prog := range []string{"podman", "setpriv"} {
		if _, err := exec.LookPath(prog); err != nil {
			t.Skipf("no %s is installed", prog)
		}
	}
	dir, err := os.MkdirTemp("", "speaker-rootless")
	if err != nil {
		t.Fatal(err)
	}
	r := &Rootless{filepath.Join(dir, "home"), filepath.Join(dir, "run", nobody)}
	t.Cleanup(func() {
		if pid, err := os.ReadFile(filepath.Join(r.RuntimeDir, "libpod/tmp/pause.pid")); err == nil {
			_ = r.command("kill", string(pid)).Run() // what keeps its namespaces
		}
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{r.Home, r.RuntimeDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chown(d, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(r.Home, "image.tar")
	if b, err := os.ReadFile(rootfs(t)); err != nil || os.WriteFile(image, b, 0o644) != nil {
		t.Fatal("copy image: ", err)
	}
	if out, err := r.command("podman", "info").CombinedOutput(); err != nil {
		t.Skipf("no rootless Podman here: %s", out)
	}
	run(t, r.command("podman", "import", image, Image))
	return r
}

// command runs as that user.
func (r *Rootless) command(args ...string) *exec.Cmd {
	cmd := exec.Command("setpriv", append([]string{"--reuid=" + nobody, "--regid=" + nobody, "--clear-groups"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.Home, "XDG_RUNTIME_DIR=" + r.RuntimeDir}
	cmd.Dir = r.Home
	return cmd
}

// Run runs a command of the client.
func (r *Rootless) Run(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, r.command(append([]string{"podman"}, args...)...))
}
