package sample

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"speaker/sample/server"
)

// Where things are in the container.
const (
	serverPath = "/bin/demo-server"
	helperPath = "/bin/demo-help"
	configPath = "/etc/demo.conf"
)

// newRoot is where the new root is put together: a directory that every host
// has, hidden in this mount namespace alone. So none has to be made, and none
// can be left behind.
const newRoot = "/sys"

// documents are what the server serves.
var documents = map[string]string{
	"index.html": "<!doctype html><title>demo</title><h1>A little server</h1><p>Its container was made without an engine.</p>\n",
	"about.txt":  "This server boots in seven stages, serves, reloads when asked to, and stops cleanly.\n",
	"hours.txt":  "Open day and night.\n",
}

// makeRoot makes a minimal root file system in memory and moves into it. All
// of it goes away with the mount namespace.
func makeRoot(c server.Config) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("open own program: %w", err)
	}
	defer exe.Close()
	if err := unix.Mount("demo", newRoot, "tmpfs", unix.MS_NOSUID, "mode=755,size=256m"); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	if err := fillRoot(c, exe); err != nil {
		return err
	}
	return enterRoot()
}

func fillRoot(c server.Config, exe *os.File) error {
	for _, dir := range []string{"bin", "etc", "dev", "proc", "run", "tmp", "srv/www", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(newRoot, dir), 0o755); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	files := map[string][]byte{configPath: c.Bytes(),
		"/etc/passwd": []byte("root:x:0:0::/:/bin/false\ndemo:x:1000:1000::/:/bin/false\n"),
		"/etc/group":  []byte("root:x:0:\ndemo:x:1000:\n")}
	for name, text := range documents {
		files[filepath.Join(c.WWW, name)] = []byte(text)
	}
	for path, data := range files {
		if err := os.WriteFile(newRoot+path, data, 0o644); err != nil {
			return fmt.Errorf("make file: %w", err)
		}
	}
	for _, dev := range []string{"/dev/null", "/dev/zero", "/dev/urandom"} {
		if err := bind(dev, newRoot+dev, 0); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", newRoot+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := bringLibraries(exe); err != nil {
		return err
	}
	if err := bringProgram(exe, newRoot+serverPath); err != nil {
		return err
	}
	return bringProgram(exe, newRoot+helperPath)
}

// bind mounts a file or directory of the host, which must exist, in the new
// root.
func bind(from, to string, flags uintptr) error {
	st, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("find %s: %w", from, err)
	}
	if st.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else {
		err = os.WriteFile(to, nil, 0o644)
	}
	if err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", from, err)
	}
	if flags == 0 {
		return nil
	}
	if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|flags, ""); err != nil {
		return fmt.Errorf("protect %s: %w", from, err)
	}
	return nil
}

// bringProgram puts this binary into the new root: bound, or copied where it
// cannot be bound (it was deleted or replaced since it started) or where its
// mode would keep an unprivileged user from running it.
func bringProgram(exe *os.File, to string) error {
	st, err := exe.Stat()
	if err != nil {
		return fmt.Errorf("look at own program: %w", err)
	}
	if st.Mode()&0o005 == 0o005 && bind("/proc/self/exe", to, unix.MS_RDONLY|unix.MS_NOSUID) == nil {
		return nil
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("make program: %w", err)
	}
	defer out.Close()
	if err := out.Chmod(0o755); err != nil {
		return fmt.Errorf("make program: %w", err)
	}
	for off := int64(0); off < st.Size(); {
		n, err := unix.Sendfile(int(out.Fd()), int(exe.Fd()), &off, int(st.Size()-off))
		if err != nil {
			return fmt.Errorf("copy program: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("copy program: it is cut short")
		}
	}
	return out.Close()
}

// bringLibraries binds the host's library directories, if this binary is
// linked dynamically (as those of `go test` are).
func bringLibraries(exe *os.File) error {
	f, err := elf.NewFile(exe)
	if err != nil {
		return fmt.Errorf("read own program: %w", err)
	}
	dynamic := false
	for _, p := range f.Progs {
		dynamic = dynamic || p.Type == elf.PT_INTERP
	}
	if !dynamic {
		return nil
	}
	for _, dir := range []string{"/usr/lib", "/usr/lib64", "/lib", "/lib64"} {
		st, err := os.Lstat(dir)
		switch {
		case os.IsNotExist(err):
		case err != nil:
			return fmt.Errorf("find libraries: %w", err)
		case st.Mode()&os.ModeSymlink != 0:
			to, err := os.Readlink(dir)
			if err == nil {
				err = os.Symlink(to, newRoot+dir)
			}
			if err != nil {
				return fmt.Errorf("link libraries: %w", err)
			}
		default:
			if err := bind(dir, newRoot+dir, unix.MS_RDONLY|unix.MS_NOSUID); err != nil {
				return err
			}
		}
	}
	return nil
}

// enterRoot makes the new root the root, and lets go of the old one.
func enterRoot() error {
	if err := os.Chdir(newRoot); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	// Both in one place: the old root lands on top of the new one, and goes.
	err := unix.PivotRoot(".", ".")
	switch {
	case err == nil:
		err = unix.Unmount(".", unix.MNT_DETACH)
	case errors.Is(err, unix.EINVAL):
		err = coverRoot()
	}
	if err != nil {
		return fmt.Errorf("leave old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	return nil
}

// coverRoot moves the new root, where we stand, over the old one. It is for a
// host that lives in its initial RAM disk, or under chroot: that root cannot be
// let go of (pivot_root(2), "rootfs").
func coverRoot() error {
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	return unix.Chroot(".")
}
