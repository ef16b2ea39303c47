package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The checks say what blocks, why and what to do, to people and to programs, and the
// exit status says whether anything does.
func TestCheck(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: reads the filters of another process")
	}
	sleeper := exec.Command("sleep", "600")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() })
	pid := strconv.Itoa(sleeper.Process.Pid)
	eventually(t, "it to sleep", func() (bool, string) {
		b, err := os.ReadFile("/proc/" + pid + "/syscall")
		return err == nil && strings.HasPrefix(string(b), "230 "), string(b)
	})
	profile := func(calls string) string {
		path := filepath.Join(t.TempDir(), "calls.txt")
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(calls, " ", "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const few = "read write exit exit_group rt_sigreturn restart_syscall"
	// The first, for a check stops the sleeper, whose call is restart_syscall then.
	out, err := speaker(t, "check", pid, "--profile", profile(few), "--json").Output()
	var got struct {
		Before string
		Blocks bool
		Checks []struct {
			ID, Level, Found, Why, Remedy string
			Blocks                        bool
		}
	}
	if decoded := json.Unmarshal(out, &got); err == nil || decoded != nil || !got.Blocks || got.Before != "inject" || len(got.Checks) < 10 {
		t.Fatalf("%v %v %s", err, decoded, out)
	}
	for _, c := range got.Checks {
		if c.Blocks != (c.ID == "asleep") || c.Blocks != (c.Level == "blocks") {
			t.Errorf("%+v", c)
		}
		if c.Blocks && (!strings.Contains(c.Found, "clock_nanosleep: "+pid) || c.Why == "" || c.Remedy != "allow clock_nanosleep in run") {
			t.Errorf("%+v", c)
		}
	}
	if out, err := speaker(t, "check", pid, "--profile", profile(few+" clock_nanosleep")).CombinedOutput(); err != nil || !strings.Contains(string(out), "\nok       processes\n") ||
		!strings.Contains(string(out), "\nnote     threads asleep in a call that is removed: they were stopped in a call") {
		t.Errorf("%v %s", err, out)
	}
	for _, x := range [][2]string{{"", "what would be applied is not known"}, {"--before=seal", "nothing can be sealed"}} {
		args := append([]string{"check", pid}, strings.Fields(x[0])...)
		if out, err := speaker(t, args...).CombinedOutput(); err == nil || !strings.Contains(string(out), x[1]) {
			t.Errorf("%s: %v %s", x[0], err, out)
		}
	}
}
