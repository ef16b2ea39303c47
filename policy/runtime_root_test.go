package policy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What runtimes call between loading a filter and the program's execve is in the
// table, for every way to start that changes it.
func TestRuntimesNeedWhatTheTableSays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("starting containers needs root")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("needs strace")
	}
	for _, runtime := range []string{"runc", "crun"} {
		out, err := exec.Command(runtime, "--version").Output()
		if err != nil {
			t.Logf("%s is not here: %v", runtime, err)
			continue
		}
		version := regexp.MustCompile(`[0-9]+\.[0-9]+(\.[0-9]+)?`).FindString(string(out))
		for _, noNewPrivs := range []bool{true, false} {
			for _, uid := range []int{0, 1000} {
				t.Run(fmt.Sprintf("%s %s nnp=%v uid=%d", runtime, version, noNewPrivs, uid), func(t *testing.T) {
					seen := afterFilter(t, straceStart(t, runtime, noNewPrivs, uid))
					if !slices.Contains(seen, "execve") {
						t.Fatalf("it starts nothing: %q", seen)
					}
					known := RuntimeCalls()
					for _, r := range runtimes {
						if r.name == runtime && r.version == version && noNewPrivs {
							known = namedHere(strings.Fields(r.calls)...)
						} else if r.name == runtime && r.version == version {
							known = namedHere(strings.Fields(r.calls + " " + r.privs)...)
						}
					}
					if more := namedHere(seen...).Minus(known); more.Len() > 0 {
						t.Errorf("the table lacks %s", more)
					}
				})
			}
		}
	}
}

// straceStart starts a container under strace and returns the log's path.
func straceStart(t *testing.T, runtime string, noNewPrivs bool, uid int) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "rootfs")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "none.c")
	if err := os.WriteFile(source, []byte("int main(void) { return 0; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-static", "-o", filepath.Join(root, "none"), source).CombinedOutput(); err != nil {
		t.Fatalf("build program: %v: %s", err, out)
	}
	config := bundleConfig(t, runtime, dir, noNewPrivs, uid)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "strace.log")
	name := fmt.Sprintf("speaker-policy-%d", time.Now().UnixNano())
	args := []string{"strace", "-f", "-qq", "-o", log, runtime, "--root", filepath.Join(dir, "state"), "run", "--bundle", dir, name}
	if _, err := os.Stat("/sys/fs/cgroup/unified"); err == nil && runtime == "crun" {
		// It refuses to run where v1 and v2 are side by side.
		args = append([]string{"unshare", "-m", "sh", "-c", `umount /sys/fs/cgroup/unified && exec "$@"`, "sh"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("run container: %v: %s", err, out)
	}
	return log
}

// bundleConfig is the runtime's own, less what would need a terminal, with a
// filter that denies next to nothing.
func bundleConfig(t *testing.T, runtime, dir string, noNewPrivs bool, uid int) []byte {
	t.Helper()
	spec := exec.Command(runtime, "spec")
	spec.Dir = dir
	if out, err := spec.CombinedOutput(); err != nil {
		t.Fatalf("make config: %v: %s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	process := config["process"].(map[string]any)
	process["terminal"], process["noNewPrivileges"], process["args"] = false, noNewPrivs, []string{"/none"}
	process["user"] = map[string]any{"uid": uid, "gid": uid, "additionalGids": []int{uid + 1}}
	config["linux"].(map[string]any)["seccomp"] = map[string]any{
		"defaultAction": "SCMP_ACT_ALLOW",
		"syscalls":      []any{map[string]any{"names": []string{"vhangup"}, "action": "SCMP_ACT_ERRNO"}},
	}
	raw, err = json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var (
	straceLine   = regexp.MustCompile(`^([0-9]+) +([a-z0-9_]+)\((.*)$`)
	straceResult = regexp.MustCompile(`^([0-9]+) +<\.\.\. clone3? resumed>.*= ([0-9]+)$`)
	threadResult = regexp.MustCompile(`= ([0-9]+)$`)
)

// afterFilter returns the names of what the process that loads the filter calls
// from then until it runs the program, in all of its threads.
func afterFilter(t *testing.T, log string) []string {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	leader, pending := map[string]string{}, map[string]bool{} // leaders of threads; clones of threads under way
	leaderOf := func(tid string) string {
		if l, ok := leader[tid]; ok {
			return l
		}
		return tid
	}
	filtered, seen := "", map[string]bool{}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if m := straceResult.FindStringSubmatch(s.Text()); m != nil && pending[m[1]] {
			leader[m[2]] = leaderOf(m[1])
			delete(pending, m[1])
			continue
		}
		m := straceLine.FindStringSubmatch(s.Text())
		if m == nil {
			continue
		}
		tid, name, rest := m[1], m[2], m[3]
		if strings.HasPrefix(name, "clone") && strings.Contains(rest, "CLONE_THREAD") {
			if r := threadResult.FindStringSubmatch(rest); r != nil {
				leader[r[1]] = leaderOf(tid)
			} else {
				pending[tid] = true
			}
		}
		if filtered == "" {
			if name == "seccomp" && strings.HasPrefix(rest, "SECCOMP_SET_MODE_FILTER") && !strings.Contains(rest, "NULL") ||
				name == "prctl" && strings.HasPrefix(rest, "PR_SET_SECCOMP, SECCOMP_MODE_FILTER") && !strings.Contains(rest, "NULL") {
				filtered = leaderOf(tid)
			}
			continue
		}
		if leaderOf(tid) == filtered {
			seen[name] = true
		}
		if name == "execve" && strings.HasPrefix(rest, `"/none"`) {
			break
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	var out []string
	for name := range seen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
