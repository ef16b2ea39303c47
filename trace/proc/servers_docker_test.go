package proc

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const image = "speaker-test/servers"

// Real servers, each in its container and network namespace, are found waiting
// for connections on the port that they are known by.
func TestServers(t *testing.T) {
	if exec.Command("docker", "image", "inspect", image).Run() != nil {
		t.Skip("needs Docker and the image that .ci/images builds")
	}
	tests := []struct {
		name, addr string
		args       []string
	}{
		{"nginx", "tcp 0.0.0.0:80", []string{image, "nginx", "-g", "daemon off;"}},
		{"redis", "tcp 0.0.0.0:6379", []string{image, "redis-server", "--protected-mode", "no"}},
		{"postgres", "tcp 127.0.0.1:5432", []string{"--user", "postgres", image, "sh", "-c",
			"cd /usr/lib/postgresql/*/bin && ./initdb -D /tmp/db >/dev/null && exec ./postgres -D /tmp/db -k /tmp"}},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			name := "speaker-proc-test-" + x.name
			docker(t, "rm", "-f", name)
			docker(t, append([]string{"run", "-d", "--name", name}, x.args...)...)
			t.Cleanup(func() { exec.Command("docker", "rm", "-f", name).Run() })
			root, err := strconv.Atoi(docker(t, "inspect", "-f", "{{.State.Pid}}", name))
			if err != nil || root == 0 {
				t.Fatalf("it does not run: %s", docker(t, "logs", name))
			}
			var got []Wait
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				pids, err := Tree(root)
				got = ListenWaits(pids)
				if err == nil && found(got, x.addr) {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("got %+v of %v (%v), want %s", got, pids, err, x.addr)
				}
			}
		})
	}
}

func found(waits []Wait, addr string) bool {
	for _, w := range waits {
		if w.Addr == addr {
			return true
		}
	}
	return false
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil && args[0] != "rm" {
		t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
