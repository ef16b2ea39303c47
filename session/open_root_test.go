package session

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"speaker/policy"
)

// look opens a session as whoever runs it, and tells what it holds.
func look(path string) {
	s, damage, err := Open(path)
	if err != nil || damage.Any() {
		panic(fmt.Sprint(damage, err))
	}
	sp, ok := s.Propose(s.Length())
	p := s.Policy(sp)
	fmt.Println(os.Getuid(), ok, p.Wide().Len(), p.Narrow().Len(), len(Rehearse(s, sp, p).Denied), len(s.Observed(sp)[policy.Run]))
	copied := filepath.Join(filepath.Dir(path), "copy")
	if err := Save(copied, s); err != nil {
		panic(err)
	}
	_, w, _, err := OpenAppend(copied)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	os.Exit(0)
}

// A session that was recorded as root, on a real kernel, opens for an ordinary
// user without any privilege, in a network namespace with nothing in it and with
// no file system but its own folder, the kernel's included: no eBPF, no Docker.
func TestSessionOpensAnywhereForAnybody(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user in a root of its own")
	}
	root := t.TempDir()
	for to, from := range map[string]string{"look": "/proc/self/exe", "demo": "../sample/demo.speaker"} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(root, to), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	libraries(t, root)
	if err := os.Mkdir(filepath.Join(root, "mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"mine", "demo"} {
		if err := os.Chown(filepath.Join(root, p), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(root, "demo"), filepath.Join(root, "mine/demo")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/look", "_look", "/mine/demo")
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65534, Gid: 65534},
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, _, err := Open("../sample/demo.speaker")
	if err != nil {
		t.Fatal(err)
	}
	sp, ok := s.Propose(s.Length())
	p := s.Policy(sp)
	want := fmt.Sprintln(65534, ok, p.Wide().Len(), p.Narrow().Len(), len(Rehearse(s, sp, p).Denied), len(s.Observed(sp)[policy.Run]))
	if string(out) != want || !ok {
		t.Errorf("it says %q, want %q", out, want)
	}
}

// libraries copies what the test program is linked with, if anything, into a root.
func libraries(t *testing.T, root string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("ldd", self).Output() // fails for a static one
	for _, word := range strings.Fields(string(out)) {
		if !filepath.IsAbs(word) {
			continue
		}
		b, err := os.ReadFile(word)
		if err == nil {
			err = os.MkdirAll(filepath.Join(root, filepath.Dir(word)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(root, word), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
