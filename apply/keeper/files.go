package keeper

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// FileName is the part of a hold's name that names its files. Names come from
// containers and may be anything.
func FileName(name string) (string, error) {
	ok := name != "" && len(name) <= 80 && name[0] != '.' && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}) < 0
	if !ok {
		return "", fmt.Errorf("name hold: %q must be 1 to 80 letters, digits, '.', '_' or '-'", name)
	}
	return name, nil
}

func socketPath(dir, name string) string { return filepath.Join(dir, name+".sock") }
func recordPath(dir, name string) string { return filepath.Join(dir, name+".json") }

// prepare makes the folder of sockets.
func prepare(dir, name string) error {
	if _, err := FileName(name); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder for sockets: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("make folder for sockets: %w", err)
	}
	return nil
}

// freeWithin is how long the keeper of a target's life before may take to leave.
const freeWithin = 10 * time.Second

// listenWhenFree is listen, for a name whose last keeper is just leaving.
func listenWhenFree(dir, name string) (*net.UnixListener, error) {
	for end := time.Now().Add(freeWithin); ; time.Sleep(5 * time.Millisecond) {
		r, err := read(dir, name)
		if err == nil && keeps(r.Keeper) && time.Now().Before(end) {
			continue
		}
		l, err := listen(dir, name)
		if err == nil || time.Now().After(end) {
			return l, err
		}
	}
}

// listen makes the socket of a hold. It refuses the name of one that is answered for.
func listen(dir, name string) (*net.UnixListener, error) {
	if err := prepare(dir, name); err != nil {
		return nil, err
	}
	path := socketPath(dir, name)
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("hold %s: there is one with that name", name)
	}
	_ = os.Remove(path)
	old := unix.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen for screens: %w", err)
	}
	return l, nil
}
