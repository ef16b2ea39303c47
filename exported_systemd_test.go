package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	seccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/policy/export"
	"speaker/trace/proc"
	"speaker/tui/bench"
)

// inSystemd starts the servers as services of a systemd that has a container for
// itself, each with the exported drop-in. Its cgroups are in a namespace of the
// container's own, in folders that nobody else has mounted.
func inSystemd(t *testing.T, root string, servers []exported) {
	const name = "speaker-e2e-exported-systemd"
	if _, err := os.Lstat(filepath.Join(root, "usr/lib/systemd/systemd")); err != nil {
		t.Skip("the image has no systemd: .ci/images builds one that has")
	}
	units := t.TempDir()
	if err := os.Chmod(units, 0o755); err != nil {
		t.Fatal(err)
	}
	wants := ""
	dropins := map[string]string{}
	for _, e := range servers {
		dropins[e.name] = unit(t, units, e)
		wants += fmt.Sprintf("Wants=%s.service\n", e.name)
	}
	writeText(t, filepath.Join(units, "servers.target"), "[Unit]\nRequires=basic.target\n"+wants)
	_ = exec.Command("docker", "rm", "-f", name).Run() // of a test that was killed
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", name).Run() })
	flags := []string{"--cgroupns", "private", "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined",
		"--tmpfs", "/run", "--tmpfs", "/tmp", "-e", "container=docker", "-v", units + ":/etc/systemd/system:ro"}
	systemd := []string{"/lib/systemd/systemd", "systemd.unit=servers.target"}
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err == nil && uint32(st.Type) == unix.CGROUP2_SUPER_MAGIC {
		// It then mounts its own part of the one hierarchy, to write in.
		systemd = []string{"sh", "-c", "umount /sys/fs/cgroup && exec " + strings.Join(systemd, " ")}
	} else {
		flags = append(flags, "--tmpfs", "/sys/fs/cgroup")
	}
	docker(t, slices.Concat([]string{"run", "-d", "--name", name}, flags, []string{image}, systemd)...)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("docker", "exec", name, "journalctl", "--no-pager", "-n", "60").CombinedOutput()
			t.Logf("systemd says: %s", out)
		}
	})
	init := inspect(t, name).Pid
	for _, e := range servers {
		t.Run(e.name, func(t *testing.T) {
			addr := address(t, name, e.server)
			l := startLoad(t, e.server, addr)
			l.more(t, 200)
			l.stop()
			l.check(t, "under systemd, with the exported drop-in")
			asDropin(t, service(t, init, e.name), dropins[e.name])
		})
	}
}

// unit writes a service for a server, and the drop-in for it.
func unit(t *testing.T, dir string, e exported) (dropin string) {
	t.Helper()
	var words []string
	for _, w := range e.command {
		words = append(words, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "$", "$$", "%", "%%").Replace(w)+`"`)
	}
	text := "[Service]\nType=exec\nExecStart=" + strings.Join(words, " ") + "\n"
	if i := slices.Index(e.flags, "--user"); i >= 0 {
		text += "User=" + e.flags[i+1] + "\n"
	}
	writeText(t, filepath.Join(dir, e.name+".service"), text)
	conf := filepath.Join(dir, e.name+".service.d")
	if err := os.Mkdir(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	profile, err := os.ReadFile(e.file(t, "systemd", false))
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(conf, "speaker.conf"), string(profile))
	return string(profile)
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// service finds the first process of a service by its cgroup.
func service(t *testing.T, init int, name string) (pid int) {
	t.Helper()
	for _, pid := range tree(t, init) {
		groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err == nil && strings.Contains(string(groups), "/"+name+".service\n") {
			return pid
		}
	}
	t.Fatalf("no process is in %s.service", name)
	return 0
}

// asDropin compares what the kernel answers to a process and its children with what the drop-in
// says as it is read here, call by call.
func asDropin(t *testing.T, pid int, dropin string) {
	t.Helper()
	p, _, err := export.Read([]byte(dropin), "systemd")
	if err != nil {
		t.Fatal(err)
	}
	// systemd passes over the names that its libseccomp does not have: such calls
	// get the default. The image's is this system's.
	knows := func(name string) bool {
		_, err := seccomp.GetSyscallFromName(name)
		return err == nil
	}
	rules, _, err := p.Resolve(export.Host{ABI: policy.Native(), Knows: knows})
	if err != nil {
		t.Fatal(err)
	}
	if i, err := proc.Read(pid); err != nil || i.Seccomp != 2 {
		t.Errorf("process %d has no filter: %+v, %v", pid, i, err)
	}
	_, stacks, _, err := bench.New(bench.Options{NoFile: true}).Inspect(soon(t), fmt.Sprintf("pid:%d", pid))
	if err != nil || len(stacks) == 0 {
		t.Fatalf("the filters cannot be read: %v", err)
	}
	for _, st := range stacks {
		v, err := policy.VerifyAll(st.Filters, rules)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range v.Differ {
			t.Errorf("%s (%d): %s", st.Comm, st.Pid, m)
		}
		if v.More > 0 {
			t.Errorf("and %d more", v.More)
		}
		t.Logf("%s: %d filters, %d calls in %d cases", st.Comm, len(st.Filters), v.Calls, v.Cases)
	}
}
