package enginetest

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Containerd is a daemon of the test's own, with its CRI plugin.
type Containerd struct {
	Socket string
	dir    string
}

// PauseImage is what the CRI plugin makes pods with.
const PauseImage = "localhost/speaker-test/pause:1"

// NeedContainerd starts one, with the image in the namespaces default and k8s.io.
func NeedContainerd(t *testing.T) *Containerd {
	t.Helper()
	needRoot(t)
	for _, prog := range []string{"containerd", "ctr", "runc"} {
		if _, err := exec.LookPath(prog); err != nil {
			t.Skipf("no %s is installed", prog)
		}
	}
	dir, err := os.MkdirTemp("", "speaker-containerd")
	if err != nil {
		t.Fatal(err)
	}
	c := &Containerd{Socket: filepath.Join(dir, "s"), dir: dir}
	t.Cleanup(func() { c.clean() })
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf(`version = 2
root = %q
state = %q
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  disable_tcp_service = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  conf_dir = %q
`, filepath.Join(dir, "root"), filepath.Join(dir, "state"), c.Socket, PauseImage, filepath.Join(dir, "cni"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, exec.Command("containerd", "--config", config))
	awaitSocket(t, c.Socket)
	for _, ns := range []string{"default", "k8s.io"} {
		c.Run(t, "-n", ns, "images", "import", "--digests", c.archive(t, "localhost/"+Image, "/few"))
		c.Run(t, "-n", ns, "images", "import", "--digests", c.archive(t, PauseImage, "/few", "600"))
	}
	return c
}

// clean removes what shims and mounts are left.
func (c *Containerd) clean() {
	mounts, _ := filepath.Glob(filepath.Join(c.dir, "state/io.containerd.*/*/*/rootfs"))
	more, _ := filepath.Glob(filepath.Join(c.dir, "state/io.containerd.grpc.v1.cri/sandboxes/*/shm"))
	for _, m := range append(mounts, more...) {
		_ = unix.Unmount(m, unix.MNT_DETACH)
	}
	os.RemoveAll(c.dir)
}

// Run runs a command of ctr.
func (c *Containerd) Run(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, exec.Command("ctr", append([]string{"-a", c.Socket}, args...)...))
}

// archive makes an image of the form that docker save gives, with a command.
func (c *Containerd) archive(t *testing.T, name string, command ...string) string {
	t.Helper()
	layer := rootfs(t)
	dir := t.TempDir()
	write := func(file string, v any) {
		b, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sum := run(t, exec.Command("sha256sum", layer))[:64]
	run(t, exec.Command("cp", layer, filepath.Join(dir, "layer.tar")))
	write("config.json", map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{"Cmd": command},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum}}})
	write("manifest.json", []any{map[string]any{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	out := filepath.Join(t.TempDir(), "image.tar")
	run(t, exec.Command("tar", "-cf", out, "-C", dir, "manifest.json", "config.json", "layer.tar"))
	return out
}

// awaitSocket waits until somebody answers there.
func awaitSocket(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nobody answers at %s: %v", path, err)
		}
	}
}
