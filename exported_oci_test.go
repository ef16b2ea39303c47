package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"speaker/trace/target/enginetest"
)

// imageRoot unpacks the image's files, for who takes no image.
func imageRoot(t *testing.T) (dir string) {
	t.Helper()
	const name = "speaker-e2e-exported-files"
	_ = exec.Command("docker", "rm", "-f", name).Run() // of a test that was killed
	docker(t, "create", "--name", name, image, "true")
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", name).Run() })
	dir = t.TempDir()
	unpack := fmt.Sprintf("docker export %s | tar -x -C %s --exclude=usr/share/doc --exclude=usr/share/locale --exclude=usr/share/man", name, dir)
	output(t, exec.Command("sh", "-c", unpack))
	return dir
}

// inPodman starts the servers in Podman, with conditions and without.
func inPodman(t *testing.T, root, runtime string, servers []exported) {
	p := enginetest.NeedPodman(t, runtime, false)
	for _, e := range servers {
		for i, what := range []string{"without", "with"} {
			t.Run(e.name+" "+what+" conditions", func(t *testing.T) {
				name := "conds-" + e.name + "-" + what
				p.Run(t, slices.Concat([]string{"run", "-d", "--name", name, "--tmpfs", "/tmp", "--security-opt", "seccomp=" + e.file(t, "podman", i == 1)},
					e.flags, []string{"--rootfs", root}, e.command)...)
				t.Cleanup(func() {
					if t.Failed() {
						t.Log(p.Run(t, "logs", "--tail", "20", name))
					}
					p.Run(t, "rm", "-f", "-t", "0", name)
				})
				e.serves(t, wholeNumber(t, p.Run(t, "inspect", "-f", "{{.State.Pid}}", name)), i == 1)
			})
		}
	}
}

// inBundles starts the servers with a runtime alone.
func inBundles(t *testing.T, root, runtime string, servers []exported) {
	if _, err := exec.LookPath(runtime); err != nil {
		t.Skipf("no %s is installed", runtime)
	}
	for _, e := range servers {
		t.Run(e.name, func(t *testing.T) {
			dir := bundle(t, root, e, true)
			name := "speaker-e2e-exported-" + e.name
			run := func(args ...string) *exec.Cmd {
				all := append([]string{runtime, "--root", filepath.Join(dir, "state")}, args...)
				if _, err := os.Stat("/sys/fs/cgroup/unified"); err == nil && runtime == "crun" {
					// It refuses to run where v1 and v2 are side by side.
					all = append([]string{"unshare", "-m", "sh", "-c", `umount /sys/fs/cgroup/unified && exec "$@"`, "sh"}, all...)
				}
				return exec.Command(all[0], all[1:]...)
			}
			start := run("run", "-d", "--bundle", dir, "--pid-file", filepath.Join(dir, "pid"), name)
			said := saidIn(t, start)
			if err := start.Run(); err != nil {
				t.Fatalf("%v: %v: %s", start.Args, err, said())
			}
			t.Cleanup(func() { output(t, run("delete", "-f", name)) })
			pid, err := os.ReadFile(filepath.Join(dir, "pid"))
			if err != nil {
				t.Fatal(err)
			}
			e.serves(t, wholeNumber(t, string(pid)), true)
		})
	}
}

// inContainerd starts the servers as ctr does it: with a whole config.json, and
// with a profile of its own.
func inContainerd(t *testing.T, root string, servers []exported) {
	c := enginetest.NeedContainerd(t)
	for _, e := range servers {
		start := func(t *testing.T, conditions bool, name string, args ...string) {
			t.Helper()
			log := filepath.Join(t.TempDir(), "log")
			c.Run(t, append([]string{"run", "-d", "--log-uri", "file://" + log}, args...)...)
			t.Cleanup(func() {
				if said, _ := os.ReadFile(log); t.Failed() {
					t.Logf("it said: %s", said)
				}
				c.Run(t, "tasks", "rm", "-f", name)
			})
			e.serves(t, taskPid(t, c, name), conditions)
		}
		t.Run(e.name+" with a config.json", func(t *testing.T) {
			name := "exported-config-" + e.name
			start(t, true, name, "--config", filepath.Join(bundle(t, root, e, true), "config.json"), name)
		})
		if len(e.flags) > 0 {
			continue // ctr cannot say whose process it is
		}
		t.Run(e.name+" with a profile", func(t *testing.T) {
			name := "exported-profile-" + e.name
			start(t, false, name, slices.Concat([]string{"--seccomp", "--seccomp-profile", e.file(t, "cri", false), "--env", "PATH=/usr/sbin:/usr/bin", "--rootfs", root, name}, e.command)...)
		})
	}
}

// taskPid is the process of a container of containerd's.
func taskPid(t *testing.T, c *enginetest.Containerd, name string) int {
	t.Helper()
	list := c.Run(t, "tasks", "ls")
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			return wholeNumber(t, f[1])
		}
	}
	t.Fatalf("it does not run: %s", list)
	return 0
}

// bundle makes a folder that a runtime starts a server from: the runtime's own
// config.json with what the server is, and the part that was exported for it.
func bundle(t *testing.T, root string, e exported, conditions bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command("runc", "spec")
	cmd.Dir = dir
	output(t, cmd)
	file := filepath.Join(dir, "config.json")
	var config struct {
		Version string           `json:"ociVersion"`
		Process map[string]any   `json:"process"`
		Root    map[string]any   `json:"root"`
		Mounts  []map[string]any `json:"mounts"`
		Linux   map[string]any   `json:"linux"`
	}
	var part struct {
		Linux struct {
			Seccomp json.RawMessage `json:"seccomp"`
		} `json:"linux"`
	}
	readJSON(t, file, &config)
	readJSON(t, e.file(t, "oci", conditions), &part)
	config.Linux["seccomp"] = part.Linux.Seccomp
	config.Root = map[string]any{"path": root}
	config.Mounts = append(config.Mounts, map[string]any{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"mode=1777"}})
	p := config.Process
	p["terminal"], p["noNewPrivileges"], p["args"] = false, false, e.command
	caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE", "CAP_KILL"}
	p["capabilities"] = map[string]any{"bounding": caps, "permitted": caps, "effective": caps}
	if i := slices.Index(e.flags, "--user"); i >= 0 {
		uid, gid := userOf(t, root, e.flags[i+1])
		p["user"] = map[string]any{"uid": uid, "gid": gid}
	}
	text, err := json.Marshal(config)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// userOf looks a name up in the image.
func userOf(t *testing.T, root, name string) (uid, gid int) {
	t.Helper()
	users, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(users)) {
		if f := strings.Split(line, ":"); len(f) > 3 && f[0] == name {
			return wholeNumber(t, f[2]), wholeNumber(t, f[3])
		}
	}
	t.Fatalf("the image has no user %s", name)
	return 0, 0
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func wholeNumber(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n == 0 {
		t.Fatalf("no number: %q", text)
	}
	return n
}

// saidIn has a command that leaves a process behind write to a file, which does not
// keep anybody waiting, and returns what reads it.
func saidIn(t *testing.T, cmd *exec.Cmd) func() string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = f, f
	read := func() string {
		text, _ := os.ReadFile(f.Name())
		return string(text)
	}
	t.Cleanup(func() {
		f.Close()
		if t.Failed() {
			t.Logf("it said: %s", read())
		}
	})
	return read
}
