package sample

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// refuse has the server's master refused some calls from now on.
func refuse(t *testing.T, c *Container, numbers ...int) {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/root%s", c.Pid, denyFile)
	if err := os.WriteFile(path, []byte(strings.Trim(fmt.Sprint(numbers), "[]")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(c.Pid, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the filter", func() bool { return status(c.Pid, "Seccomp") == "2" })
}

func TestRefusedReload(t *testing.T) {
	tests := []struct {
		name    string
		numbers []int
		want    string // what the error names
	}{
		{"mkdirat", []int{unix.SYS_MKDIRAT}, "mkdirat was refused"},
		{"ftruncate", []int{unix.SYS_FTRUNCATE}, "ftruncate was refused"},
		{"fsync", []int{unix.SYS_FSYNC}, "fsync was refused"},
		{"execve", []int{unix.SYS_EXECVE}, "execve was refused"},
		{"mmap, which the helper cannot start without", []int{unix.SYS_MMAP}, "demo-help"},
		{"symlinkat", []int{unix.SYS_SYMLINKAT}, "symlinkat was refused"},
		{"renameat", []int{unix.SYS_RENAMEAT}, "renameat was refused"},
		{"renameat and the clean-up", []int{unix.SYS_RENAMEAT, unix.SYS_UNLINKAT}, "renameat was refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, log := serving(t, Options{Pace: quick})
			refuse(t, c, tt.numbers...)
			for range 2 { // what the first leaves behind is not in the way of the second
				err := c.Reload()
				if err == nil || !strings.Contains(err.Error(), "500") {
					t.Fatalf("reload: %v, want status 500", err)
				}
				if !strings.Contains(err.Error(), tt.want) && len(tt.numbers) == 1 {
					t.Errorf("reload: %v, want %q", err, tt.want)
				}
				load(t, c, 10)
			}
			if text, err := c.Request("/status"); err != nil || !strings.Contains(text, "generation 1\n") {
				t.Errorf("status: %q, %v, want generation 1", text, err)
			}
			wantLog(t, log, tt.want, "still serving generation 1")
			if err := c.Stop(soon(t)); err != nil {
				t.Fatal(err)
			}
			if got := c.ExitStatus(); got != "exit status 0" {
				t.Errorf("ended with %s, want exit status 0", got)
			}
		})
	}
}

// A worker that ends cannot be replaced when clone is refused; the other one
// serves alone.
func TestRefusedWorker(t *testing.T) {
	c, log := serving(t, Options{Pace: quick})
	refuse(t, c, unix.SYS_CLONE, unix.SYS_CLONE3)
	workers := children(c.Pid)
	if len(workers) != 2 {
		t.Fatalf("workers %v, want two", workers)
	}
	if err := unix.Kill(workers[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the attempt to replace it", func() bool { return logHas(c, "trying again") })
	wantLog(t, log, "clone or execve was refused")
	load(t, c, 10)
	if err := c.Reload(); err == nil || errors.Is(err, ErrNotServing) {
		t.Errorf("reload: %v, want that it is refused", err)
	}
}
