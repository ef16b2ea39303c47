package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"speaker/tui/bench"
)

// What one speaker injected another one proves, with nothing but the target's name;
// what entered later differs, and is named; a new life of the container has none.
func TestProveInjected(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-prove"
	startContainer(t, name, nginx)
	address(t, name, nginx)
	unknown := func(when string) {
		t.Helper()
		if out, err := speaker(t, "prove", name).CombinedOutput(); err == nil || !strings.Contains(string(out), "put nothing in place there") {
			t.Errorf("%s: %v, %s", when, err, out)
		}
	}
	unknown("before")
	file := filepath.Join(t.TempDir(), "s.speaker")
	v := begin(t, exec.Command("/proc/self/exe", "_test-inject", "docker:"+name, file))
	v.says(t, "injected")
	v.kill()
	if out := output(t, speaker(t, "prove", name)); !strings.Contains(out, "the run filter that speaker put in place\nProved: ") {
		t.Errorf("got %s", out)
	}
	var proof struct {
		Proved    bool
		Processes int
		Differing []struct{ Comm string }
	}
	if err := json.Unmarshal([]byte(output(t, speaker(t, "prove", name, "--session", file, "--json"))), &proof); err != nil || !proof.Proved || proof.Processes < 2 {
		t.Errorf("against the session: %v, %+v", err, proof)
	}
	if out, err := speaker(t, "prove", name, "--profile", profiles+"docker-20.10.json").CombinedOutput(); err == nil || !strings.Contains(string(out), "Not proved: ") {
		t.Errorf("against Docker's profile: %v, %s", err, out)
	}
	takenUp(t, name)
	docker(t, "exec", "-d", name, "sleep", "600")
	eventually(t, "the process that entered to be named", func() (bool, string) {
		out, err := speaker(t, "prove", name, "--json").Output()
		return err != nil && json.Unmarshal(out, &proof) == nil && !proof.Proved && len(proof.Differing) == 1 && proof.Differing[0].Comm == "sleep", string(out)
	})
	docker(t, "restart", "-t", "1", name)
	unknown("in its next life")
}

// takenUp watches a container that has an earlier speaker's filter.
func takenUp(t *testing.T, name string) {
	t.Helper()
	w, err := bench.New(bench.Options{NoFile: true}).Watch(soon(t), "docker:"+name, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if st := w.State(); st.Applied != bench.Injected || st.InPlace == nil {
		t.Errorf("applied: %s, %v", st.Applied, st.InPlace)
	}
	if proof, err := w.Prove(soon(t)); err != nil || !proof.OK {
		t.Errorf("%v, %v", proof.Text, err)
	}
}

// The profile that a container was started with is proved at every argument.
func TestProveProfile(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-prove-profile"
	startContainer(t, name, idle, seccompFlag("docker-20.10.json")...)
	out := output(t, speaker(t, "prove", name, "--profile", profiles+"docker-20.10.json"))
	if !strings.Contains(out, "held against the profile\nProved: 1 thread of 1 process") || !strings.Contains(out, " cases of arguments, as the policy says") {
		t.Errorf("got %s", out)
	}
}
