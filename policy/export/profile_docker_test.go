package export

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	seccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"speaker/policy"
)

// These tests start containers with exported profiles, and have a program inside
// find out what the kernel really answers there.

const image = "speaker-export-test:probe"

// libcCalls are what a small static program with glibc calls in its life.
var libcCalls = strings.Fields("arch_prctl brk fstat getrandom mmap mprotect newfstatat " +
	"prlimit64 readlink readlinkat rseq set_robust_list set_tid_address uname write")

func TestDockerEnforcesProfile(t *testing.T) {
	needDocker(t)
	buildImage(t)
	p := policy.Derive(policy.Observed{
		policy.Boot: saw(t, append(libcCalls, "mkdirat", "clone3")...),
		policy.Run:  saw(t, libcCalls...),
	}, nil)
	for _, tt := range []struct {
		name  string
		phase policy.Phase
		flags []string
	}{
		{"wide", policy.Boot, nil},
		{"narrow", policy.Run, nil},
		{"narrow, no new privileges", policy.Run, []string{"--security-opt", "no-new-privileges"}},
		{"narrow, not root", policy.Run, []string{"--user", "1000:1000"}},
		{"narrow, no capabilities", policy.Run, []string{"--cap-drop", "ALL"}},
		{"narrow, own init", policy.Run, []string{"--read-only", "--workdir", "/"}},
	} {
		t.Run(tt.name, func(t *testing.T) { checkContainer(t, p, tt.phase, tt.flags) })
	}
}

// A profile that opens the i386 door has to be taken, too.
func TestDockerTakesForeignArchitectures(t *testing.T) {
	needDocker(t)
	if policy.Native() != policy.X86_64 {
		t.Skip("foreign ABIs are those of x86_64")
	}
	buildImage(t)
	p := policy.Derive(policy.Observed{
		policy.Run: saw(t, append(libcCalls, "i386:read", "i386:socketcall", "i386:mmap2", "x32:read")...),
	}, nil)
	checkContainer(t, p, policy.Run, nil)
}

// checkContainer starts a container with the exported profile, asks for every
// call that it should refuse, and compares with the spec.
func checkContainer(t *testing.T, p policy.Policy, phase policy.Phase, flags []string) {
	o := Options{Phase: phase, Runtime: true}
	profile := filepath.Join(t.TempDir(), "profile.json")
	var b bytes.Buffer
	if _, err := Write(&b, "docker", p, o); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(profile, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := allowed(p, o)
	if err != nil {
		t.Fatal(err)
	}
	spec := policy.Spec{Allow: set}
	names := sortedNames(set)
	var probe []string
	for _, c := range policy.Calls(policy.Native()) {
		if refused(c, names) {
			probe = append(probe, strconv.Itoa(int(c.Nr)))
		}
	}
	args := append([]string{"run", "--rm", "--network", "none", "--security-opt", "seccomp=" + profile}, flags...)
	out := run(t, append(append(args, image, "/probe"), probe...)...)
	lines := strings.Fields(out)
	if len(lines) != 2*len(probe) {
		t.Fatalf("asked for %d calls, got %q", len(probe), out)
	}
	for i := 0; i < len(lines); i += 2 {
		nr, err := strconv.ParseUint(lines[i], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		errno, err := strconv.Atoi(lines[i+1])
		if err != nil {
			t.Fatal(err)
		}
		c := policy.Call{ABI: policy.Native(), Nr: uint32(nr)}
		if want := spec.Want(c).Errno(); unix.Errno(errno) != want {
			t.Errorf("%s (%d): the container gets %s, want %s", c, c.Nr, unix.ErrnoName(unix.Errno(errno)), unix.ErrnoName(want))
		}
	}
}

// refused reports whether a container should refuse c, and can: names has what
// the profile allows.
func refused(c policy.Call, names []string) bool {
	if _, ok := slices.BinarySearch(names, c.Name()); ok {
		return false
	}
	if c.ABI == policy.X86_64 && (c.Name() == "uretprobe" || c.Name() == "uprobe") {
		return false // the kernel takes these past every filter
	}
	// A profile cannot hold what the engine's libseccomp has no name for. Such a
	// call fails with ENOSYS all the same, if it is newer than all that it has.
	_, err := seccomp.GetSyscallFromName(c.Name())
	return err == nil || c.Nr > 424
}

func needDocker(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("no docker command")
	}
	if out, err := exec.Command("docker", "info", "--format", "{{.SecurityOptions}}").CombinedOutput(); err != nil {
		t.Skipf("no Docker daemon: %s", bytes.TrimSpace(out))
	} else if !bytes.Contains(out, []byte("seccomp")) {
		t.Skipf("the Docker daemon has no seccomp: %s", bytes.TrimSpace(out))
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc to build testdata/probe.c with")
	}
}

// buildImage imports an image that holds the static probe and nothing else.
func buildImage(t *testing.T) {
	t.Helper()
	probe := filepath.Join(t.TempDir(), "probe")
	if out, err := exec.Command("gcc", "-O1", "-static", "-o", probe, "testdata/probe.c").CombinedOutput(); err != nil {
		t.Fatalf("build probe: %v: %s", err, out)
	}
	content, err := os.ReadFile(probe)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "probe", Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("docker", "import", "-", image)
	cmd.Stdin = &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("import image: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "rmi", image).CombinedOutput(); err != nil {
			t.Errorf("remove image: %v: %s", err, out)
		}
	})
}

// run runs docker and returns what it printed.
func run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	name := fmt.Sprintf("speaker-export-test-%d", os.Getpid())
	args = slices.Insert(args, 1, "--name", name)
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		_ = exec.Command("docker", "rm", "-f", name).Run() // there is one only if it hangs
		t.Fatalf("docker run: %v: %s", err, stderr.String())
	}
	return stdout.String()
}
