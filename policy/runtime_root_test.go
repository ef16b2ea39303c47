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
	root := rootWithNone(t)
	for _, runtime := range []string{"runc", "crun"} {
		out, err := exec.Command(runtime, "--version").Output()
		if err != nil {
			t.Logf("%s is not here: %v", runtime, err)
			continue
		}
		version := regexp.MustCompile(`[0-9]+\.[0-9]+(\.[0-9]+)?`).FindString(string(out))
		for _, noNewPrivs := range []bool{true, false} {
			for _, uid := range []int{0, 1000} {
				for _, twice := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %s nnp=%v uid=%d create+start=%v", runtime, version, noNewPrivs, uid, twice), func(t *testing.T) {
						seen := afterFilter(t, straceStart(t, runtime, root, noNewPrivs, uid, twice))
						if !slices.Contains(seen, "execve") {
							t.Fatalf("it starts nothing: %q", seen)
						}
						known := tableHas(runtime, version, noNewPrivs, twice)
						if more := namedHere(seen...).Minus(known); more.Len() > 0 {
							t.Errorf("the table lacks %s", more)
						}
					})
				}
			}
		}
	}
}

// tableHas is what the table says of a version, or all of it about one that is not
// in it.
func tableHas(runtime, version string, noNewPrivs, twice bool) Set {
	for _, r := range runtimes {
		if r.name != runtime || r.version != version {
			continue
		}
		calls := r.calls
		if !noNewPrivs {
			calls += " " + r.privs
		}
		if !noNewPrivs && twice {
			calls += " " + r.waits
		}
		return namedHere(strings.Fields(calls)...)
	}
	return RuntimeCalls()
}

// rootWithNone makes the files of a container: a program that does nothing.
func rootWithNone(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	source := filepath.Join(t.TempDir(), "none.c")
	if err := os.WriteFile(source, []byte("int main(void) { return 0; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	combined(t, exec.Command("gcc", "-static", "-o", filepath.Join(root, "none"), source))
	return root
}

// straceStart starts a container under strace, in one go or by create and start,
// and returns the log's path.
func straceStart(t *testing.T, runtime, root string, noNewPrivs bool, uid int, twice bool) string {
	t.Helper()
	dir := t.TempDir()
	config := bundleConfig(t, runtime, dir, root, noNewPrivs, uid)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "strace.log")
	name := fmt.Sprintf("speaker-policy-%d", time.Now().UnixNano())
	command := func(args ...string) *exec.Cmd {
		if _, err := os.Stat("/sys/fs/cgroup/unified"); err == nil && runtime == "crun" {
			// It refuses to run where v1 and v2 are side by side.
			args = append([]string{"unshare", "-m", "sh", "-c", `umount /sys/fs/cgroup/unified && exec "$@"`, "sh"}, args...)
		}
		return exec.Command(args[0], args[1:]...)
	}
	state := []string{runtime, "--root", filepath.Join(dir, "state")}
	traced := slices.Concat([]string{"strace", "-f", "-qq", "-o", log}, state)
	if !twice {
		combined(t, command(append(traced, "run", "--bundle", dir, name)...))
		return log
	}
	t.Cleanup(func() { _ = command(append(state, "delete", "-f", name)...).Run() })
	create := command(append(traced, "create", "--bundle", dir, name)...)
	done := make(chan error, 1) // strace ends with the container
	if err := create.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { done <- create.Wait() }()
	for out := ""; !strings.Contains(out, `"created"`); time.Sleep(20 * time.Millisecond) {
		raw, _ := command(append(state, "state", name)...).CombinedOutput()
		out = string(raw)
		select {
		case err := <-done:
			t.Fatalf("create container: %v: %s", err, out)
		default:
		}
	}
	combined(t, command(append(state, "start", name)...))
	if err := <-done; err != nil {
		t.Fatalf("run container: %v", err)
	}
	return log
}

// combined runs a command to its end.
func combined(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out)
	}
}

// bundleConfig is the runtime's own, less what would need a terminal, with a
// filter that denies next to nothing.
func bundleConfig(t *testing.T, runtime, dir, root string, noNewPrivs bool, uid int) []byte {
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
	config["root"].(map[string]any)["path"] = root
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
